"""The file of API keys, and when a service may do without."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from configs.api_keys import (
    KeyFileError,
    add_key,
    read_keys,
    remove_key,
    require_keys,
    token_hash,
)
from configs.errors import ConfigError, SettingError
from configs.security.origins import is_loopback
from configs.settings import read_settings


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "keys.yaml"


def test_a_key_is_kept_as_its_hash_only(path: Path) -> None:
    token = add_key(path, "shop", ["predict", "feedback"])
    assert token.startswith("ratchet_")
    assert len(token) >= 8 + 43
    assert token not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    (key,) = read_keys(path)
    assert (key.name, key.scopes, key.sha256) == ("shop", ("predict", "feedback"), token_hash(token))
    assert add_key(path, "other", ["read"]) != token
    assert [key.name for key in read_keys(path)] == ["shop", "other"]
    assert remove_key(path, "shop").name == "shop"
    assert [key.name for key in read_keys(path)] == ["other"]


def test_the_mode_of_a_file_and_a_link_to_it_stay(path: Path) -> None:
    add_key(path, "shop", ["predict"])
    path.chmod(0o640)
    link = path.with_name("link.yaml")
    link.symlink_to(path)
    add_key(link, "other", ["predict"])
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert len(read_keys(path)) == 2
    assert list(path.parent.iterdir()) == [link, path] or set(path.parent.iterdir()) == {link, path}


@pytest.mark.parametrize(
    ("name", "scopes", "message"),
    [
        ("shop", ["predict"], "key 'shop' is there already"),
        ("two words", ["predict"], "name: got 'two words'; allowed: a letter or digit, then up to 63 of"),
        ("x", ["write"], "scopes.0: got 'write'; allowed: 'read', 'predict', 'feedback', 'train' or 'admin'"),
        (
            "x",
            ["trian"],
            "scopes.0: got 'trian'; allowed: 'read', 'predict', 'feedback', 'train' or 'admin' "
            "(is 'train' meant?)",
        ),
        ("x", [], "scopes: got ()"),
    ],
)
def test_what_cannot_be_a_key_is_refused(path: Path, name: str, scopes: list[str], message: str) -> None:
    add_key(path, "shop", ["predict"])
    with pytest.raises(KeyFileError) as caught:
        add_key(path, name, scopes)  # type: ignore[arg-type]
    assert str(caught.value).startswith(f"{path}: {message}")
    assert len(read_keys(path)) == 1


def test_a_key_that_is_not_there_cannot_be_removed(path: Path) -> None:
    add_key(path, "shop", ["predict"])
    with pytest.raises(KeyFileError, match="there is no key 'nope'; known: shop"):
        remove_key(path, "nope")


GOOD = {"name": "a", "scopes": ["read"], "sha256": "0" * 64}


@pytest.mark.parametrize(
    "content",
    [
        "keys: [",
        "",
        "[1]",
        yaml.safe_dump({"keys": [{**GOOD, "scope": "admin"}]}),
        yaml.safe_dump({"keys": [{**GOOD, "sha256": "plain token"}]}),
        yaml.safe_dump({"keys": [GOOD, GOOD]}),
    ],
)
def test_a_damaged_file_is_refused_by_name(path: Path, content: str) -> None:
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(KeyFileError, match=str(path)):
        read_keys(path)


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.4", False),
        ("service.example", False),
    ],
)
def test_only_loopback_is_this_machine(host: str, here: bool) -> None:
    assert is_loopback(host) is here


def test_other_addresses_need_keys(path: Path) -> None:
    environ = {"RATCHET_HOME": str(path.parent), "RATCHET_HOST": "0.0.0.0"}
    with pytest.raises(ConfigError, match=r"would listen on 0\.0\.0\.0 without API keys.*ratchet keys add"):
        require_keys(read_settings(environ))
    require_keys(read_settings({**environ, "RATCHET_HOST": "127.0.0.1"}))
    with pytest.raises(ConfigError, match="would listen on ::"):
        require_keys(read_settings({**environ, "RATCHET_HOST": "127.0.0.1"}), "::")
    add_key(path, "shop", ["predict"])
    require_keys(read_settings(environ))


@pytest.mark.parametrize(
    "origin", ["*", "https://*.example", "page.example", "https://page.example/", "ftp://x", "null"]
)
def test_origins_are_exact(origin: str) -> None:
    with pytest.raises(SettingError, match="RATCHET_ALLOWED_ORIGINS"):
        read_settings({"RATCHET_ALLOWED_ORIGINS": f"https://good.example, {origin}"})


def test_origins_are_as_browsers_send_them() -> None:
    variable = " https://Page.example ,,http://10.0.0.5:8080"
    origins = read_settings({"RATCHET_ALLOWED_ORIGINS": variable}).allowed_origins
    assert origins == ("https://page.example", "http://10.0.0.5:8080")
