"""The state of the code that made a version."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from models.provenance import code_revision as revision

NOBODY = ("-c", "user.name=nobody", "-c", "user.email=nobody@localhost")


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *NOBODY, *words], cwd=folder, check=True, capture_output=True)


def test_the_revision_is_read_without_writing_to_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock that a killed run left behind would keep people from committing."""
    source = tmp_path / "source.py"
    source.write_text("x = 1\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    os.utime(source, (1, 1))  # so that git would like to refresh its index
    index = (tmp_path / ".git" / "index").read_bytes()
    monkeypatch.setattr(revision, "CHECKOUT", tmp_path)
    revision.code_revision.cache_clear()
    try:
        assert len(revision.code_revision()) == 40
        source.write_text("x = 2\n")
        revision.code_revision.cache_clear()
        assert revision.code_revision().endswith("+changes")
    finally:
        revision.code_revision.cache_clear()
    assert (tmp_path / ".git" / "index").read_bytes() == index
