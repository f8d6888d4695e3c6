"""Permissions of the home folder: only its owner may read it, whichever tool wrote a file in it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from configs.security.umask import OTHERS

TRAVERSE = 0o001
HOME_ENTRIES = (
    "bentoml", "cache", "checkpoints", "demo", "history", "inbox", "journal", "keys.yaml", "logs", "mlflow",
    "postgres", "predictions", "prefect", "replay", "served.json", "shadows", "snapshots", "stack.json",
    "stack.lock", "storage-copied.jsonl", "storage.json", "supervision.json", "work", "worker.ready",
)  # fmt: skip
"""What Ratchet and its tools write there; other files in the folder are not touched."""


def make_home_private(home: Path) -> None:
    """Remove the permissions that files of earlier releases gave to others; links are not followed.

    The home itself is changed last, so that an interrupted walk is repeated.
    """
    if not readable_by_others(home):
        return
    for place in (home / name for name in HOME_ENTRIES):
        make_private(place)
        if not place.is_symlink():
            for path in _below(place):
                make_private(path)
    home.chmod(stat.S_IMODE(home.stat().st_mode) & ~OTHERS | _passage(home))


def make_private(path: Path) -> None:
    """Remove all permissions of others from one file; a link, a file of others or a missing one is left."""
    try:
        status = path.lstat()
        may_change = os.geteuid() in (0, status.st_uid)
        if may_change and not stat.S_ISLNK(status.st_mode) and status.st_mode & OTHERS:
            path.chmod(stat.S_IMODE(status.st_mode) & ~OTHERS)
    except FileNotFoundError:
        return


def readable_by_others(home: Path) -> bool:
    """Whether others have more permissions on a home than the user of its database needs."""
    return bool(stat.S_IMODE(home.stat().st_mode) & OTHERS & ~_passage(home))


def allow_traversal(home: Path) -> None:
    """Let other users pass through a home to files of theirs in it; they may not list it."""
    home.chmod(stat.S_IMODE(home.stat().st_mode) | TRAVERSE)


def _passage(home: Path) -> int:
    """Permissions on the home that the database's user needs, where root runs it as another user; else 0."""
    postgres = home / "postgres"
    if not postgres.is_dir() or postgres.stat().st_uid == os.geteuid():
        return 0
    return TRAVERSE


def _below(folder: Path) -> Iterator[Path]:
    """Paths below a folder, without the data of PostgreSQL, which has rules of its own for permissions."""
    for place, folders, files in os.walk(folder):
        parent = Path(place)
        if parent.name == "postgres":
            folders[:] = [name for name in folders if not name.startswith("data")]
        yield from (parent / name for name in (*folders, *files))
