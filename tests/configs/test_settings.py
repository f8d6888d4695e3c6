"""Addresses and ports: read as people write them, or refused in one line that names the variable."""

from __future__ import annotations

import re

import pytest

from configs.errors import SettingError
from configs.settings import ensure_different_ports, read_settings
from flows.stack.errors import NotHere
from flows.stack.probes import client_url
from flows.stack.processes import port_is_free
from service.run import listening_address
from tests.ports import free_port


@pytest.mark.parametrize(
    ("text", "host", "url"),
    [
        ("", "127.0.0.1", "http://127.0.0.1:3000"),
        (" 127.0.0.1 ", "127.0.0.1", "http://127.0.0.1:3000"),
        ("::1", "::1", "http://[::1]:3000"),
        ("[::1]", "::1", "http://[::1]:3000"),
        ("0:0:0:0:0:0:0:1", "::1", "http://[::1]:3000"),
        ("::", "::", "http://[::1]:3000"),
        ("[::]", "::", "http://[::1]:3000"),
        ("0.0.0.0", "0.0.0.0", "http://127.0.0.1:3000"),
        ("LocalHost", "localhost", "http://localhost:3000"),
        ("ratchet.example", "ratchet.example", "http://ratchet.example:3000"),
    ],
)
def test_a_host_is_read_and_reached(text: str, host: str, url: str) -> None:
    settings = read_settings({"RATCHET_HOST": text})
    assert settings.host == host
    assert client_url(settings.service_url) == url


@pytest.mark.parametrize(
    "text", ["localhost:3000", "[::1]:3000", "127.0.0.1:1", "http://h", "a b", "::1x", "[::1", "a/b", "h:"]
)
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="RATCHET_HOST"):
        read_settings({"RATCHET_HOST": text})


@pytest.mark.parametrize("port", ["0", "70000", "x", "-1", "3000.0", "٣٠٠٠"])
def test_what_is_no_port_is_refused(port: str) -> None:
    with pytest.raises(SettingError, match="RATCHET_MLFLOW_PORT"):
        read_settings({"RATCHET_MLFLOW_PORT": port})


def test_two_servers_of_a_stack_have_two_ports() -> None:
    taken = read_settings({"RATCHET_PORT": "5000"})
    with pytest.raises(SettingError, match="another port than that of RATCHET_PORT"):
        ensure_different_ports(taken)
    yours = {"RATCHET_PORT": "5000", "MLFLOW_TRACKING_URI": "http://mlflow.example"}
    ensure_different_ports(read_settings(yours))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::", "localhost"])
def test_a_port_is_looked_at_on_every_kind_of_address(host: str) -> None:
    assert port_is_free(free_port(), host)


@pytest.mark.parametrize("host", ["198.51.100.7", "no-such-name.invalid", "2001:db8::7"])
def test_an_address_of_another_machine_is_named(host: str) -> None:
    with pytest.raises(NotHere, match=f"RATCHET_HOST has value '{host}'"):
        port_is_free(free_port(), host)


def test_a_name_is_listened_on_by_its_address() -> None:
    assert listening_address("localhost") == "127.0.0.1"
    assert listening_address("::1") == "::1"
    with pytest.raises(SettingError, match="RATCHET_HOST"):
        listening_address("no-such-name.invalid")


@pytest.mark.parametrize("text", ["127.0.0.1:5000", "mlflow.example:5000/prefix", "[::1]:5000"])
def test_an_mlflow_without_a_scheme_is_no_folder(text: str) -> None:
    with pytest.raises(SettingError, match=re.escape(f"such as http://{text}")):
        read_settings({"MLFLOW_TRACKING_URI": text})


@pytest.mark.parametrize("text", ["http://127.0.0.1:5000", "databricks", "sqlite:///mlflow.db", "./mlruns"])
def test_addresses_of_mlflow_are_taken_as_it_has_them(text: str) -> None:
    assert read_settings({"MLFLOW_TRACKING_URI": text}).mlflow_uri == text
