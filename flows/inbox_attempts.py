"""How often reading a file was begun and not ended: one that ends its process must not stall the rest.

A library that crashes, or a kernel that ends a process for its memory, leaves nothing to catch. So a note is
kept beside a file while it is read, under a name that begins with a dot.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from configs.security.home import make_private

MOST_ATTEMPTS = 3
"""One may have ended with the machine or by a person; three of one file are its own doing."""
NOTE = ".reading.json"


def attempts(path: Path, signature: object) -> int:
    """How many readings of this file, as it is now, have been begun and not ended."""
    try:
        note = json.loads(_note(path).read_text(encoding="utf-8"))
        same = note["name"] == path.name and note["signature"] == repr(signature)
        return int(note["attempts"]) if same else 0
    except (OSError, ValueError, KeyError, TypeError):
        return 0


@contextmanager
def attempting(path: Path, signature: object) -> Iterator[None]:
    """Keep the note while the file is read; any end that Python sees takes it away."""
    count = attempts(path, signature) + 1
    note = _note(path)
    content = {"name": path.name, "signature": repr(signature), "attempts": count}
    note.write_text(json.dumps(content), encoding="utf-8")
    make_private(note)
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


def _note(path: Path) -> Path:
    return path.parent / NOTE
