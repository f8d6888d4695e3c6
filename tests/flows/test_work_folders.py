"""Folders of one process's own: whose process was killed goes at once, whose lives stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flows.work_folders import WorkFolder, abandoned, work_folder

OWNER = """
import sys, time
from pathlib import Path
from flows.work_folders import WorkFolder
folder = WorkFolder(Path(sys.argv[1]), "run")
(folder.path / "rows.arrow").write_bytes(b"rows")
print(folder.path, flush=True)
time.sleep(600)
"""


@contextmanager
def another_process(work: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(work)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def test_what_a_killed_process_left_goes_as_the_next_one_begins(tmp_path: Path) -> None:
    with another_process(tmp_path) as (process, left):
        assert abandoned(tmp_path) == []
        with work_folder(tmp_path, "run"):
            assert (left / "rows.arrow").exists()
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert abandoned(tmp_path) == [left]
        with work_folder(tmp_path, "pool") as own:
            assert list(tmp_path.iterdir()) == [own]
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_known_to_be_somebodys_stays(tmp_path: Path) -> None:
    others = [tmp_path / "serving", tmp_path / "6d1ad6a1-8a3d-4ef0-9d6c-4ab0f9ac9b3a", tmp_path / "run-1"]
    for one in others:
        one.mkdir()
    with work_folder(tmp_path, "run"):
        pass
    assert sorted(tmp_path.iterdir()) == sorted(others)


def test_nobody_else_may_look_into_it(tmp_path: Path) -> None:
    with work_folder(tmp_path, "pool") as own:
        assert own.stat().st_mode & 0o777 == 0o700


def test_one_that_does_not_exist_yet_has_nothing_abandoned(tmp_path: Path) -> None:
    assert abandoned(tmp_path / "work") == []


def test_where_there_are_no_locks_age_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(os.strerror(95))

    monkeypatch.setattr("flows.work_folders.fcntl.flock", refuse)
    folder = WorkFolder(tmp_path, "run")
    changed = folder.path.stat().st_mtime
    assert abandoned(tmp_path) == abandoned(tmp_path, untold_before=changed - 1) == []
    assert abandoned(tmp_path, untold_before=changed + 1) == [folder.path]
    folder.remove()


def test_a_forked_process_leaves_it_to_its_parent(tmp_path: Path) -> None:
    with work_folder(tmp_path, "run") as path:
        folder = WorkFolder(tmp_path, "run")
        if (child := os.fork()) == 0:
            folder.remove()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert folder.path.is_dir() and path.is_dir()
        folder.remove()
