"""The umask of a process: what Ratchet keeps is private, what a person asked for is as they like."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from configs.security import umask
from configs.security.umask import copy_for_user, set_private_umask, user_umask
from configs.settings import CHECKOUT


@pytest.fixture(autouse=True)
def persons_umask(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process that was just started by somebody who lets their group write."""
    monkeypatch.setattr(umask, "_original", [])
    before = os.umask(0o002)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def write(path: Path) -> int:
    path.write_text("x")
    return mode(path)


def test_files_are_private_and_the_persons_own_are_as_they_like(tmp_path: Path) -> None:
    with user_umask():
        assert write(tmp_path / "before") == 0o664
    set_private_umask()
    set_private_umask()
    assert write(tmp_path / "ours") == 0o600
    with user_umask():
        assert write(tmp_path / "theirs") == 0o664
    assert write(tmp_path / "ours too") == 0o600


def test_copies_have_the_permissions_that_the_person_likes(tmp_path: Path) -> None:
    set_private_umask()
    source = tmp_path / "source" / "inner"
    source.mkdir(parents=True)
    write(source / "file")
    copy_for_user(tmp_path / "source", tmp_path / "out" / "copy")
    assert (tmp_path / "out" / "copy" / "inner" / "file").read_text() == "x"
    modes = {str(path.relative_to(tmp_path / "out")): mode(path) for path in (tmp_path / "out").rglob("*")}
    assert modes == {"copy": 0o775, "copy/inner": 0o775, "copy/inner/file": 0o664}


@pytest.mark.parametrize("module", ["flows.cli", "service.run", "service.work"])
def test_every_way_in_keeps_what_it_writes_private(tmp_path: Path, module: str) -> None:
    home = tmp_path / "home"
    words = ["doctor"] if module == "flows.cli" else []
    environment = {
        "PATH": os.environ["PATH"], "RATCHET_HOME": str(home), "RATCHET_PORT": "1",
        "RATCHET_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    }  # fmt: skip
    # `service.run` becomes BentoML, and `service.work` waits for its database: after they made the home.
    process = subprocess.Popen(
        [sys.executable, "-m", module, *words], cwd=CHECKOUT, env=environment, umask=0o022,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(600):
            if home.exists():
                break
            try:
                process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
        assert mode(home) == 0o700
    finally:
        process.kill()
        process.wait(10)
