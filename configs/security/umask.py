"""File permissions by umask: Ratchet's own files are private, files that a person asks for are as they like.

The permissions of a new file come from the umask of the process, which children inherit. So it is set once,
where a process begins, and holds for the tools' files as for our own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OTHERS = 0o077
"""Permissions of everybody but the owner."""
_original: list[int] = []
"""The umask that this process was started with, once it was changed."""


def set_private_umask() -> None:
    """Keep what this process and its children write from now on readable by their user only."""
    umask = os.umask(OTHERS)
    if not _original:
        _original.append(umask)


@contextmanager
def user_umask() -> Iterator[None]:
    """Restore within the umask that the process was started with: for files that a person asked for."""
    if not _original:  # it was never changed
        yield
        return
    umask = os.umask(_original[0])
    try:
        yield
    finally:
        os.umask(umask)


def copy_for_user(source: Path, target: Path) -> None:
    """Copy a file or folder to where a person asked for it, with permissions by their umask."""
    with user_umask():
        _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    if not source.is_dir():
        shutil.copyfile(source, target)
        return
    target.mkdir(parents=True)
    for part in source.iterdir():
        _copy(part, target / part.name)
