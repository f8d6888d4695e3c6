"""Files that are written to while they are read: what was read is neither what was there nor what is."""

from __future__ import annotations

import os
from pathlib import Path


def file_status(path: Path) -> os.stat_result | None:
    """A file as it is now, for `change_notes` once it was read; None where it cannot be looked at."""
    try:
        return path.stat()
    except OSError:
        return None


def change_notes(path: Path, before: os.stat_result | None) -> tuple[str, ...]:
    """A sentence where a file is not the one any more whose reading was begun; none where it was moved away.

    Args:
        before: its status before it was opened.
    """
    after = file_status(path)
    if before is None or after is None or _what_tells(before) == _what_tells(after):
        return ()
    sizes = "" if before.st_size == after.st_size else f", from {before.st_size:,} to {after.st_size:,} bytes"
    return (
        f"the file changed while it was read{sizes}: rows may be missing, and one may be cut; it has to be "
        "read again once nobody writes to it",
    )


def _what_tells(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
