"""The password of the Prefect server that Ratchet starts, and how its clients find it."""

from __future__ import annotations

import base64
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import unquote

import pytest

from configs.settings import CHECKOUT, Settings, read_settings
from flows.servers.environment import child_environment
from flows.servers.prefect_access import (
    auth_headers,
    ensure_password,
    password_file,
    profile_environment,
    profiles_file,
    read_password,
)
from flows.servers.sign_in import PATH, write_sign_in
from flows.stack.addresses import access_hints


def settings(tmp_path: Path, **environ: str) -> Settings:
    return read_settings({"RATCHET_HOME": str(tmp_path / "home"), "RATCHET_PREFECT_PORT": "4242", **environ})


def test_it_is_made_once_and_its_owners_alone(tmp_path: Path) -> None:
    ours = settings(tmp_path)
    assert read_password(ours, {}) is None
    password = ensure_password(ours, {})
    user, _, secret = password.partition(":")
    assert user == "ratchet"
    assert len(secret) == 64
    assert ensure_password(ours, {}) == read_password(ours, {}) == password
    for path in (password_file(ours.home), profiles_file(ours.home)):
        assert path.stat().st_mode & 0o777 == 0o600
    assert password_file(ours.home).parent.stat().st_mode & 0o777 == 0o700
    assert ensure_password(settings(tmp_path / "other"), {}) != password


def test_what_the_user_has_set_for_prefect_wins(tmp_path: Path) -> None:
    ours = settings(tmp_path)
    ensure_password(ours, {})
    assert ensure_password(ours, {"PREFECT_API_AUTH_STRING": "me:mine"}) == "me:mine"
    assert tomllib.loads(profiles_file(ours.home).read_text())["profiles"]["ratchet"] == {
        "PREFECT_API_URL": "http://127.0.0.1:4242/api",
        "PREFECT_API_AUTH_STRING": "me:mine",
    }
    assert read_password(ours, {"PREFECT_SERVER_API_AUTH_STRING": "a:b"}) == "a:b"


def test_profiles_that_people_keep_beside_it_stay(tmp_path: Path) -> None:
    ours = settings(tmp_path)
    path = profiles_file(ours.home)
    path.parent.mkdir(parents=True)
    path.write_text('active = "mine"\n[profiles.mine]\nPREFECT_API_URL = "http://x/\\"api"\n')
    ensure_password(ours, {})
    content = tomllib.loads(path.read_text())
    assert content["active"] == "mine"
    assert content["profiles"]["mine"] == {"PREFECT_API_URL": 'http://x/"api'}
    assert set(content["profiles"]) == {"mine", "ratchet"}


def test_clients_send_what_prefect_expects(tmp_path: Path) -> None:
    ours = settings(tmp_path)
    assert auth_headers(ours, {}) == {}
    password = ensure_password(ours, {})
    header = auth_headers(ours, {})["Authorization"]
    assert base64.b64decode(header.removeprefix("Basic ")).decode() == password
    theirs = settings(tmp_path, PREFECT_API_URL="https://prefect.example/api")
    assert auth_headers(theirs, {}) == {}, "our password is not for somebody else's server"
    assert auth_headers(theirs, {"PREFECT_API_KEY": "k"}) == {"Authorization": "Bearer k"}


def test_children_find_the_profile_and_no_process_is_told_the_password(tmp_path: Path) -> None:
    ours = settings(tmp_path)
    password = ensure_password(ours, {})
    environment = child_environment(ours, "worker", base={"PREFECT_PROFILES_PATH": "/another/home"})
    assert profile_environment(ours).items() <= environment.items()
    assert not [name for name, value in environment.items() if password.partition(":")[2] in value]
    assert profile_environment(settings(tmp_path, PREFECT_API_URL="https://prefect.example/api")) == {}


def test_prefect_itself_reads_the_profile(tmp_path: Path) -> None:
    ours = settings(tmp_path)
    password = ensure_password(ours, {})
    code = (
        "from prefect.settings import get_current_settings as now\n"
        "print(now().api.url, now().api.auth_string.get_secret_value())"
    )
    environment = child_environment(ours, "test", base={})
    del environment["PREFECT_API_URL"]
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [ours.prefect_url, password]


def test_the_checkout_leads_prefect_to_the_home_that_is_the_default() -> None:
    content = tomllib.loads((CHECKOUT / "prefect.toml").read_text(encoding="utf-8"))
    default = read_settings({"RATCHET_HOME": str(CHECKOUT / ".ratchet")})
    assert CHECKOUT / content["profiles_path"] == profiles_file(default.home)
    assert "PREFECT_PROFILES_PATH" not in str(access_hints(default))


def test_people_are_told_how_to_come_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING"):
        monkeypatch.delenv(name, raising=False)
    ours = settings(tmp_path)
    password = ensure_password(ours, {})
    hints = access_hints(ours)
    assert str(password_file(ours.home)) in hints[0]
    assert hints[1].endswith(f": export PREFECT_PROFILES_PATH={profiles_file(ours.home)}")
    assert password.partition(":")[2] not in str(hints)
    assert access_hints(settings(tmp_path, PREFECT_API_URL="https://prefect.example/api")) == []


def test_the_file_that_signs_in_is_its_owners_alone(tmp_path: Path) -> None:
    ours = settings(tmp_path)
    password = ensure_password(ours, {})
    path = write_sign_in(ours, password)
    assert path.stat().st_mode & 0o777 == 0o600
    address = path.read_text().partition("url=")[2].partition('"')[0]
    page, _, secret = address.partition("#")
    assert page == f"http://127.0.0.1:4242{PATH}"
    assert unquote(secret) == password
