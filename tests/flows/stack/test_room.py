"""A home without room is told in one sentence, before anything is started."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from configs.settings import CHECKOUT, Settings, read_settings
from flows.stack import room
from flows.stack.errors import NoRoom
from flows.stack.room import ensure_room, free_bytes, make_inboxes


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "a home, ünlike others"


@pytest.fixture
def settings(home: Path) -> Settings:
    return read_settings({"RATCHET_HOME": str(home)})


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", place], check=False)
    if done.returncode != 0:
        pytest.skip("no disk of our own can be mounted here")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_home_with_room_is_made_and_left_clean(settings: Settings) -> None:
    ensure_room(settings)
    assert list(settings.home.iterdir()) == []


def test_a_full_disk_is_named_with_what_is_free(
    settings: Settings, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "NEW_BYTES", free_bytes(home) * 2)
    with pytest.raises(NoRoom, match=r"the home .*ünlike others has too little space: it takes \d+ MB"):
        ensure_room(settings)


def test_a_disk_without_room_for_files_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "NEW_FILES", 2**62)
    with pytest.raises(NoRoom, match=r"has room for \d+ more files \(`df -i`\)"):
        ensure_room(settings)


def test_a_home_that_is_no_folder_is_named(settings: Settings, home: Path) -> None:
    home.write_text("")
    with pytest.raises(NoRoom, match=r"cannot be written: (File exists|Not a directory)"):
        ensure_room(settings)


def test_files_that_may_not_grow_are_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (1_000_000, 1_000_000))
    with pytest.raises(NoRoom, match=r"can have files of 1 MB at most \(`ulimit -f`\)"):
        ensure_room(settings)


def test_up_on_a_tiny_disk_is_one_sentence_and_leaves_nothing(tiny_disk: Path) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ratchet")), "up", "--detach"],
        env={**os.environ, "RATCHET_HOME": str(tiny_disk / "home")},
        cwd=CHECKOUT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert f"the home {tiny_disk / 'home'} has too little space: it takes 300 MB" in done.stderr
    assert list((tiny_disk / "home").iterdir()) == []


def test_each_use_case_has_an_inbox(home: Path) -> None:
    settings = read_settings({"RATCHET_HOME": str(home), "RATCHET_USE_CASES": "digits,plans"})
    make_inboxes(settings)
    assert {folder.name for folder in (home / "inbox").iterdir()} == {"digits", "plans"}
