"""Files that may go: read ones of the inbox, copies of versions that are gone, what killed processes left."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from flows.inbox_files import inbox_folder
from flows.work_folders import abandoned
from models.versions.cache import model_cache

LEFT_BEHIND = timedelta(days=7)
"""What no process has touched for so long belongs to none."""
_DRAFTS = (".incoming-*", ".damaged-*", ".draft-*")
_OF_A_RUN = re.compile(r"(?:\.begun-)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|pool-[^-]+")
"""Folders in `work/` of which only their age tells whether a process still has them."""


def old_inbox_files(home: Path, use_case: str, kind: str, before: datetime) -> list[Path]:
    """Files that came to `done/` or `refused/` before a time."""
    folder = inbox_folder(home, use_case) / kind
    files = [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
    # Not when it was written but when it was moved there.
    return sorted(path for path in files if _is_older(path, before.timestamp(), lambda one: one.st_ctime))


def copies_without_version(home: Path, use_case: str, kept: Collection[int]) -> list[Path]:
    """Copies on this machine of versions that are not kept."""
    folder = model_cache(home) / use_case
    copies = [path for path in folder.iterdir() if path.name.isdecimal()] if folder.is_dir() else []
    return sorted(path for path in copies if int(path.name) not in kept)


def left_behind(home: Path, use_case: str, now: datetime) -> list[Path]:
    """Work folders and drafts of processes that were killed: at once where a lock tells, or by their age."""
    before = (now - LEFT_BEHIND).timestamp()
    old = {path for path in _unfinished(home, use_case) if _is_older(path, before, lambda one: one.st_mtime)}
    return sorted(old.union(abandoned(home / "work", untold_before=before)))


def weigh(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; 0 of one that is gone."""
    try:
        if path.is_dir() and not path.is_symlink():
            return sum(weigh(one) for one in path.iterdir())
        return path.lstat().st_size
    except FileNotFoundError:
        return 0


def remove(path: Path) -> None:
    """Delete a file or a folder; another process may have been first."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _is_older(path: Path, before: float, told: Callable[[os.stat_result], float]) -> bool:
    """Whether it is there and older; another process that prunes may have been first."""
    try:
        return told(path.lstat()) < before
    except FileNotFoundError:
        return False


def _unfinished(home: Path, use_case: str) -> Iterator[Path]:
    work = home / "work"
    inside = work.iterdir() if work.is_dir() else ()
    yield from (path for path in inside if _OF_A_RUN.fullmatch(path.name) and path.is_dir())
    yield from work.glob("duckdb_temp_*")  # where no query has spilled since, which would have deleted it
    shadows = home / "shadows" / use_case
    periods = [path for path in (shadows.iterdir() if shadows.is_dir() else ()) if path.is_dir()]
    for folder in (model_cache(home) / use_case, home / "snapshots" / use_case, *periods):
        for pattern in _DRAFTS:
            yield from folder.glob(pattern)
