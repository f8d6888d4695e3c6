"""Graphs written once from the weights in a package, and kept in the home: found whole, or written anew."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from features.errors import FeatureError

DIGEST = "digest"
"""File beside those that were written here: what they were."""


def ensure_written(folder: Path, write: Callable[[Path], None], digest: Callable[[Path], str]) -> None:
    """Have `write` fill a folder, unless it holds what was written there.

    It appears whole, and another process may be first.

    Args:
        folder: of one model; the one around it is made.
        write: writes the files of the model into an empty folder.
        digest: of these files; a file that is missing or cannot be read is a `FeatureError`.
    """
    if _is_whole(folder, digest):
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".incoming-") as incoming:
        made = Path(incoming) / "model"
        made.mkdir()
        write(made)
        (made / DIGEST).write_text(digest(made), encoding="utf-8")
        if folder.exists():
            folder.rename(Path(incoming) / "damaged")
        try:
            made.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise


def _is_whole(folder: Path, digest: Callable[[Path], str]) -> bool:
    try:
        return (folder / DIGEST).read_text(encoding="utf-8") == digest(folder)
    except (OSError, UnicodeDecodeError, FeatureError):
        return False


def package_folder(package: str) -> Path | None:
    """Where a package lies, which is not imported; None: it is not installed."""
    spec = find_spec(package)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


def has_digest(path: Path, sha256: str) -> bool:
    """Whether a file is there and is that one."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError:
        return False
