"""Folders of one process's own below `work/`, which tell by a lock whether it still lives.

The kernel lets go of a lock when a process ends, however it ends: what a killed one left is known at once.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

_OWNED = re.compile(r"(?:run|pool)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_BEGUN = ".begun-"
"""What a folder is called until it is locked: whoever looks for those of dead processes passes it by."""


class WorkFolder:
    """A new folder, locked for as long as this process lives, or until it is removed.

    Args:
        work: where it is made; made itself where it is missing.
        kind: how its name begins: `run` or `pool`.

    What earlier processes have left there goes first: rows on disk are gigabytes.
    """

    def __init__(self, work: Path, kind: str) -> None:
        work.mkdir(parents=True, exist_ok=True)
        for one in abandoned(work):
            remove_abandoned(one)
        name = str(uuid4())
        begun = work / f"{_BEGUN}{name}"
        begun.mkdir(mode=0o700)  # a pool's may lie among the files of all, and what is in it is loaded
        self._lock = os.open(begun, os.O_RDONLY)
        # Where the file system has no locks nobody can tell; such a folder goes by its age.
        with suppress(OSError):
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.path = begun.rename(work / f"{kind}-{name}")
        self._owner = os.getpid()

    def remove(self) -> None:
        """Delete it with all that is in it; at most once. In a process that was forked it does nothing."""
        if os.getpid() == self._owner:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)


@contextmanager
def work_folder(work: Path, kind: str) -> Iterator[Path]:
    """A folder of this process's own, gone afterwards; see `WorkFolder`."""
    folder = WorkFolder(work, kind)
    try:
        yield folder.path
    finally:
        folder.remove()


def abandoned(work: Path, *, untold_before: float | None = None) -> list[Path]:
    """Folders whose processes have ended without removing them.

    Args:
        untold_before: where the file system has no locks, those that were last changed before this time, in
            seconds since 1970; default none.
    """
    inside = work.iterdir() if work.is_dir() else ()
    owned = sorted(path for path in inside if _OWNED.fullmatch(path.name))
    return [path for path in owned if _is_abandoned(path, untold_before)]


def remove_abandoned(path: Path) -> None:
    """Delete such a folder; another process may have been first, or be at it."""
    shutil.rmtree(path, ignore_errors=True)


def _is_abandoned(path: Path, untold_before: float | None) -> bool:
    try:
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # another process was first, or it is of another user
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:  # its process lives
        return False
    except OSError:  # there are no locks here
        return untold_before is not None and os.fstat(lock).st_mtime < untold_before
    finally:
        os.close(lock)
    return True
