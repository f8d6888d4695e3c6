"""Proxies of the environment: loopback never goes through one, and what comes between is named."""

from __future__ import annotations

import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import httpx
import pytest
import requests

from configs.errors import SettingError
from configs.security.proxies import proxy_environment, through_proxy
from models.errors import RegistryUnavailable

NOWHERE = "http://127.0.0.1:9"


class Here(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def cleared(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("http", "https", "all", "no"):
        for one in (f"{name}_proxy", f"{name.upper()}_PROXY"):
            monkeypatch.delenv(one, raising=False)
    return monkeypatch


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("value", [NOWHERE, "127.0.0.1:9", "socks5://127.0.0.1:9"])
@pytest.mark.parametrize("exempt", ["", "internal.example"])
def test_every_client_asks_loopback_directly(
    cleared: pytest.MonkeyPatch, name: str, value: str, exempt: str
) -> None:
    server = HTTPServer(("127.0.0.1", 0), Here)
    Thread(target=server.serve_forever, daemon=True).start()
    environ = {name: value} | ({"NO_PROXY": exempt} if exempt else {})
    for key, one in (environ | proxy_environment(environ, ["127.0.0.2"])).items():
        cleared.setenv(key, one)
    try:
        for host in ("127.0.0.1", "localhost"):
            url = f"http://{host}:{server.server_port}/"
            assert requests.get(url, timeout=5).status_code == 200
            assert httpx.get(url, timeout=5).status_code == 200
    finally:
        server.shutdown()
        server.server_close()


def test_what_is_exempt_already_stays_so() -> None:
    added = proxy_environment({"http_proxy": NOWHERE, "no_proxy": "a.example, b.example"}, ["10.0.0.5"])
    assert added["no_proxy"] == "a.example,b.example,localhost,127.0.0.1,::1,10.0.0.5"
    assert added["NO_PROXY"] == added["no_proxy"]
    assert proxy_environment({"NO_PROXY": "*"}, []) == {}


@pytest.mark.parametrize("value", ["http://", "ftp://h:1", "http://h:x", "://"])
def test_what_is_no_proxy_is_refused_by_the_name_of_its_variable(value: str) -> None:
    with pytest.raises(SettingError, match="HTTPS_PROXY"):
        proxy_environment({"HTTPS_PROXY": value}, [])


def test_a_password_of_a_proxy_is_not_shown() -> None:
    with pytest.raises(SettingError) as caught:
        proxy_environment({"http_proxy": "ftp://u:secret@h:1"}, [])
    assert "secret" not in str(caught.value)


def test_a_message_names_the_variable_that_came_between(cleared: pytest.MonkeyPatch) -> None:
    cleared.setenv("HTTPS_PROXY", NOWHERE)
    words = str(RegistryUnavailable("https://mlflow.example:443", "refused"))
    assert "HTTPS_PROXY" in words
    assert "no_proxy=mlflow.example" in words
    assert "proxy" not in str(RegistryUnavailable("http://127.0.0.1:5000", "refused"))
    cleared.setenv("no_proxy", "mlflow.example")

    assert through_proxy("https://mlflow.example", os.environ) == ""


def test_a_certificate_file_that_is_not_there_is_named(tmp_path: object) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "status"],
        env={"PATH": "", "RATCHET_HOME": f"{tmp_path}/home", "SSL_CERT_FILE": "/nowhere.pem"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "SSL_CERT_FILE" in done.stderr
    assert "Traceback" not in done.stderr
