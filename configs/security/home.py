"""The folder of an installation: its owner's alone, whoever wrote what is in it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from configs.security.umask import OTHERS

TRAVERSE = 0o001
HOME_ENTRIES = (
    "bentoml", "cache", "checkpoints", "demo", "inbox", "journal", "keys.yaml", "logs", "mlflow", "postgres",
    "prefect", "snapshots", "stack.json", "stack.lock", "work", "worker.ready",
)  # fmt: skip
"""What Ratchet and its tools write there; other files in the folder are not touched."""


def make_home_private(home: Path) -> None:
    """Take from everybody but the owner what files of earlier releases gave them; links are not followed.

    The home itself comes last, so that a walk which was cut off is made again.
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
    """Leave others nothing; what is gone meanwhile, a link or somebody else's stays as it is."""
    try:
        status = path.lstat()
        may_change = os.geteuid() in (0, status.st_uid)
        if may_change and not stat.S_ISLNK(status.st_mode) and status.st_mode & OTHERS:
            path.chmod(stat.S_IMODE(status.st_mode) & ~OTHERS)
    except FileNotFoundError:
        return


def readable_by_others(home: Path) -> bool:
    """Whether anybody but its owner may do more with a home than the user of its database has to."""
    return bool(stat.S_IMODE(home.stat().st_mode) & OTHERS & ~_passage(home))


def allow_traversal(home: Path) -> None:
    """Let other users through a home, to what in it is theirs; they may not look at what there is."""
    home.chmod(stat.S_IMODE(home.stat().st_mode) | TRAVERSE)


def _passage(home: Path) -> int:
    """What the database's user needs where root runs it as somebody else."""
    postgres = home / "postgres"
    if not postgres.is_dir() or postgres.stat().st_uid == os.geteuid():
        return 0
    return TRAVERSE


def _below(folder: Path) -> Iterator[Path]:
    """All there is below a folder of ours, but not what PostgreSQL keeps by rules of its own."""
    for place, folders, files in os.walk(folder):
        parent = Path(place)
        if parent.name == "postgres":
            folders[:] = [name for name in folders if not name.startswith("data")]
        yield from (parent / name for name in (*folders, *files))
