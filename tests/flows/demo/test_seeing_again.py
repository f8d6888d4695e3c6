"""The command that shows again what the demo made."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from flows.demo.seeing_again import seeing_again


def command(home: Path, environ: dict[str, str]) -> str:
    first, _ = seeing_again(home, "digits", environ).splitlines()
    return first.partition(": ")[2]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where one is, with `ratchet` in `bin`."""
    monkeypatch.chdir(tmp_path)
    program = tmp_path / "bin" / "ratchet"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\necho "$RATCHET_HOME|$RATCHET_USE_CASES|$RATCHET_STORAGE|$RATCHET_API_KEYS|$1"\n'
    )
    program.chmod(0o755)
    return tmp_path


def test_a_home_below_the_folder_where_one_is_goes_by_its_relative_name(folder: Path) -> None:
    home = folder / ".ratchet" / "demo"
    assert command(home, {"PATH": str(folder / "bin")}) == "RATCHET_HOME=.ratchet/demo ratchet up"
    assert "stays in .ratchet/demo until that folder is deleted" in seeing_again(home, "digits", {})


def test_a_program_that_is_not_on_the_path_is_named_in_full(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = folder / ".ratchet" / "demo"
    assert shlex.split(command(home, {}))[1:] == [str(Path(sys.executable).parent / "ratchet"), "up"]
    monkeypatch.setattr(sys, "executable", str(folder / ".venv/bin/python"))
    assert command(home, {}) == "RATCHET_HOME=.ratchet/demo .venv/bin/ratchet up"


def test_what_the_demo_leaves_aside_the_command_leaves_aside_too(folder: Path) -> None:
    environ = {
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.defpath}",
        "RATCHET_USE_CASES": "plans,mails",
        "RATCHET_STORAGE": "s3://rows",
        "RATCHET_API_KEYS": "/keys.yaml",
    }
    home = folder / "my homes" / "demo"
    told = subprocess.run(command(home, environ), shell=True, env=environ, capture_output=True, text=True)
    assert told.stdout == "my homes/demo|digits|||up\n"
