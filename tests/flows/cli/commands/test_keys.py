"""`ratchet keys`: made, listed, removed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from configs.api_keys import read_keys, token_hash
from flows.cli import app


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the keys are kept."""
    monkeypatch.setattr(os, "environ", {"RATCHET_API_KEYS": str(tmp_path / "keys.yaml"), "COLUMNS": "200"})
    return tmp_path / "keys.yaml"


def keys(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["keys", *arguments])


def test_a_key_is_printed_once_and_alone(path: Path) -> None:
    made = keys("add", "shop", "--scope", "predict", "--scope", "feedback")
    assert made.exit_code == 0
    token = made.stdout.strip()
    (key,) = read_keys(path)
    assert (key.sha256, key.scopes) == (token_hash(token), ("predict", "feedback"))
    assert token not in keys("list").stdout + keys("list", "--json").stdout + path.read_text()


def test_keys_are_listed_and_removed() -> None:
    assert "There are no keys" in keys("list").stdout
    made = json.loads(keys("add", "shop", "--scope", "admin", "--json").stdout)
    assert made["scopes"] == ["admin"]
    (listed,) = json.loads(keys("list", "--json").stdout)
    assert (listed["name"], listed["scopes"]) == ("shop", ["admin"])
    assert "shop" in keys("list").stdout
    assert json.loads(keys("remove", "shop", "--json").stdout)["removed"] == "shop"
    assert json.loads(keys("list", "--json").stdout) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["add", "shop"], "--scope"),
        (
            ["add", "shop", "--scope", "read", "--scope", "write"],
            "--scope: got 'write'; allowed: read, predict, feedback, train, admin ",
        ),
        (["add", "shop", "--scope", "reed"], "train, admin (is 'read' meant?)"),
        (["add", "../shop", "--scope", "read"], "NAME: got '../shop'; allowed: a letter or digit"),
        (["remove", "nobody"], "there is no key 'nobody'; known: none"),
    ],
)
def test_what_cannot_be_is_a_usage_error(arguments: list[str], told: str) -> None:
    result = keys(*arguments)
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.replace("│", " ").split()) + " "
    assert "keys.yaml" not in result.stderr or arguments[0] == "remove"


def test_a_key_that_is_not_there_is_told_with_the_nearest() -> None:
    keys("add", "shop", "--scope", "read")
    assert "there is no key 'shpo' (is 'shop' meant?); known: shop" in keys("remove", "shpo").stderr


def test_other_addresses_need_keys_before_anything_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "RATCHET_HOST", "0.0.0.0")
    result = CliRunner().invoke(app, ["up", "--detach"])
    assert result.exit_code == 2
    assert "ratchet: the service would listen on 0.0.0.0 without API keys" in result.stderr


@pytest.mark.parametrize(("host", "fine"), [("127.0.0.1", True), ("0.0.0.0", False)])
def test_the_doctor_looks_at_the_keys(monkeypatch: pytest.MonkeyPatch, host: str, fine: bool) -> None:
    monkeypatch.setitem(os.environ, "RATCHET_HOST", host)
    shown = CliRunner().invoke(app, ["doctor", "--json"])
    (finding,) = (one for one in json.loads(shown.stdout) if one["what"] == "api keys")
    assert finding["ok"] is fine


@pytest.mark.parametrize("command", ["add", "list", "remove"])
def test_each_has_help_with_an_example(command: str) -> None:
    assert f"Example: ratchet keys {command}" in keys(command, "--help").stdout
