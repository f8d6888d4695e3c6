"""The keys that a worker knows, and how they change under it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from configs.api_keys import add_key, remove_key
from service.http.key_ring import LONGEST_TOKEN, Caller, KeyRing


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.yaml"


def ring(path: Path, demanded: bool = False) -> KeyRing:
    made = KeyRing(path, demanded=demanded)
    made.look()
    return made


def test_without_keys_everybody_gets_in_unless_they_are_demanded(path: Path) -> None:
    assert not ring(path).closed
    assert ring(path, demanded=True).closed
    assert ring(path, demanded=True).find(b"ratchet_x") is None


def test_a_token_is_found_by_its_hash_and_again(path: Path) -> None:
    tokens = {name: add_key(path, name, ["predict"]).encode() for name in ("one", "two", "three")}
    keys = ring(path)
    assert keys.closed
    for _ in range(2):
        found = {name: keys.find(token) for name, token in tokens.items()}
        assert found == {name: Caller(name, frozenset({"predict"})) for name in tokens}
    for wrong in (
        b"",
        b"ratchet_",
        tokens["one"][:-1],
        tokens["one"] + b"x",
        b"\xff\xfe",
        b"x" * (LONGEST_TOKEN + 1),
    ):
        assert keys.find(wrong) is None


def test_keys_rotate_with_the_old_and_the_new_one_valid_together(path: Path) -> None:
    old = add_key(path, "shop", ["predict"]).encode()
    keys = ring(path)
    assert keys.find(old)
    new = add_key(path, "shop-2", ["predict"]).encode()
    keys.look()
    assert keys.find(old)
    assert keys.find(new)
    remove_key(path, "shop")
    keys.look()
    assert keys.find(old) is None
    assert keys.find(new)


def test_a_door_once_closed_stays_so(path: Path) -> None:
    token = add_key(path, "shop", ["predict"]).encode()
    keys = ring(path)
    remove_key(path, "shop")
    keys.look()
    assert keys.closed
    path.unlink()
    keys.look()
    assert keys.closed
    assert keys.find(token) is None


def test_the_first_key_closes_the_door_of_a_running_server(path: Path) -> None:
    keys = ring(path)
    add_key(path, "shop", ["predict"])
    keys.look()
    assert keys.closed


def test_a_damaged_file_leaves_the_keys_as_they_were(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    token = add_key(path, "shop", ["predict"]).encode()
    keys = ring(path)
    path.write_text("keys: [")
    with caplog.at_level(logging.ERROR, "ratchet.service"):
        keys.look()
        keys.look()
    assert keys.find(token)
    assert len([record for record in caplog.records if "stay as they were" in record.message]) == 1


def test_a_damaged_file_at_the_start_lets_nobody_in(path: Path) -> None:
    path.write_text("nonsense")
    assert ring(path).closed


@pytest.mark.parametrize(
    ("scopes", "may"),
    [
        (["read"], {"read"}),
        (["predict"], {"read", "predict"}),
        (["feedback", "train"], {"read", "feedback", "train"}),
        (["admin"], {"read", "predict", "feedback", "train", "admin"}),
    ],
)
def test_every_key_may_read_and_admin_everything(scopes: list[str], may: set[str]) -> None:
    caller = Caller("x", frozenset(scopes))  # type: ignore[arg-type]
    everything = ("read", "predict", "feedback", "train", "admin")
    assert {scope for scope in everything if caller.may(scope)} == may  # type: ignore[arg-type]
