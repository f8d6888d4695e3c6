"""Whether a home can be written, and has room for the servers: asked before anything is started."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from configs.loading import load_selected
from configs.settings import Settings
from flows.inbox_files import make_inbox
from flows.stack.errors import NoRoom

NEW_BYTES = 300_000_000
"""A new home takes this before anything is learned: databases with their logs, and what servers compile."""
LEAST_BYTES = 50_000_000
"""A home that is there already takes this to start: PostgreSQL writes a new log file of 16 MB, and more."""
NEW_FILES, LEAST_FILES = 6_000, 500
"""Files for which there must be room; PostgreSQL makes about 1,300 for each of its databases."""
LEAST_FILE_BYTES = 64_000_000
"""How large one file must be able to become."""


def ensure_room(settings: Settings) -> None:
    """Make the home, and see that there is room in it.

    Raises:
        NoRoom: it cannot be written, or there is not enough space or room for files; the message says where.
    """
    home = settings.home
    is_new = settings.database_url is None and not (home / "postgres" / "data").is_dir()
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe = home / f".room.{os.getpid()}"
        probe.write_bytes(b"\0" * 4096)
        probe.unlink()
    except OSError as error:
        raise NoRoom(home, f"cannot be written: {error.strerror}", free_bytes(home)) from error
    _ensure_space(home, NEW_BYTES if is_new else LEAST_BYTES, NEW_FILES if is_new else LEAST_FILES)
    soft, _hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    if soft != resource.RLIM_INFINITY and soft < LEAST_FILE_BYTES:
        reason = (
            f"can have files of {_megabytes(soft)} at most (`ulimit -f`), which is too small for PostgreSQL"
        )
        raise NoRoom(home, reason, free_bytes(home))


def make_inboxes(settings: Settings) -> None:
    """The folder of each use case from which files are read, so that people see where to put them."""
    for name in load_selected(settings.config_dirs, settings.use_cases):
        make_inbox(settings.home, name)


def free_bytes(path: Path) -> int:
    """Space that may be used at `path`, or where it would be made."""
    while not path.exists() and path != path.parent:
        path = path.parent
    space = os.statvfs(path)
    return space.f_bavail * space.f_frsize


def _ensure_space(home: Path, least_bytes: int, least_files: int) -> None:
    space = os.statvfs(home)
    free = space.f_bavail * space.f_frsize
    if free < least_bytes:
        raise NoRoom(home, f"has too little space: it takes {_megabytes(least_bytes)} to start", free)
    if space.f_files and space.f_favail < least_files:
        reason = f"has room for {space.f_favail} more files (`df -i`), and it takes {least_files} to start"
        raise NoRoom(home, reason, free)


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.0f} MB"
