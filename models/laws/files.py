"""What a class writes when it is saved, and reads when it is loaded."""

from __future__ import annotations

import io
import os
import pickletools
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

PICKLES = (".pkl", ".pickle", ".joblib")
LEAST_STEPS = 3
"""Steps of a pickle that holds anything; a number such as `0.` reads as one of two steps."""
WRITING = {"open": 0, "os.mkdir": 0, "os.rename": 1, "os.link": 1, "os.symlink": 1}
"""Events of Python's audit that make a file or folder, and which of their arguments is its path."""
FREE = ("/dev/", "/proc/")
_noting: list[Noted] = []


class Noted:
    """What code did, while it was looked at."""

    def __init__(self) -> None:
        self.written: list[Path] = []
        self.unpickled: list[str] = []


@contextmanager
def noting() -> Iterator[Noted]:
    """Files that are written, and classes that a pickle names, until the end; in every thread.

    Libraries in C++ that open files themselves are not seen; what they leave beside the folder is.
    """
    _listen_once()
    noted = Noted()
    _noting.append(noted)
    try:
        yield noted
    finally:
        _noting.remove(noted)


def strays(save: Callable[[Path], object], load: Callable[[Path], object], folder: Path) -> str | None:
    """What is wrong with how something is saved into a folder, and loaded from it; None: nothing.

    Args:
        save: writes into the folder.
        load: reads it.
        folder: an empty one, beside which nobody else writes.
    """
    around = folder.parent
    before = set(around.iterdir())
    with noting() as noted:
        save(folder)
        beside = _written_beside(noted, folder, around)
        load(folder)
    beside += sorted(set(around.iterdir()) - before)
    if beside:
        return f"it wrote {beside[0]}, outside of {folder}"
    if noted.unpickled:
        return f"load reads a pickle, which names {', '.join(noted.unpickled[:2])}"
    return None


def _written_beside(noted: Noted, folder: Path, around: Path) -> list[Path]:
    """Of what was written, that which is neither in a folder nor a passing file of the system."""
    passing = Path(tempfile.gettempdir()).resolve()
    beside = []
    for path in noted.written:
        inside, near = (path.is_relative_to(one.absolute()) for one in (folder, around))
        free = path.is_relative_to(passing) or str(path).startswith(FREE)  # either may hold the folder itself
        if not (inside or "__pycache__" in path.parts or (free and not near)):
            beside.append(path)
    return list(dict.fromkeys(beside))


def is_pickle(path: Path) -> bool:
    """Whether a file runs code where it is read as its kind is, or holds one that does."""
    if path.suffix in PICKLES or (path.suffix != ".ubj" and reads_as_pickle(path.read_bytes())):
        return True
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(
            Path(name).suffix in PICKLES or reads_as_pickle(archive.read(name)) for name in archive.namelist()
        )


def reads_as_pickle(content: bytes) -> bool:
    """Whether bytes are one pickle or several, of any protocol.

    >>> import pickle
    >>> [reads_as_pickle(pickle.dumps((3, "a"), protocol=one)) for one in (0, 1, 2, 5)]
    [True, True, True, True]
    >>> [reads_as_pickle(one) for one in (b"", b"0.", b"{}", b"[1, 2]", b"tree\\nversion=v4\\n", b"1,2\\n")]
    [False, False, False, False, False, False]
    """
    if content[:1] == b"\x80":
        return True
    left = io.BytesIO(content)
    steps = 0
    try:
        while left.tell() < len(content):
            steps += sum(1 for _ in pickletools.genops(left))
    except (ValueError, UnicodeError, OverflowError, MemoryError):
        return False
    return steps >= LEAST_STEPS


@cache
def _listen_once() -> None:
    """Begin to hear Python's audit, which goes on for as long as the process lives."""
    sys.addaudithook(_hear)


def _hear(event: str, args: tuple[Any, ...]) -> None:
    if not _noting:
        return
    if event == "pickle.find_class":
        for noted in _noting:
            noted.unpickled.append(f"{args[0]}.{args[1]}")
    elif event in WRITING and (event != "open" or _writes(args[1], args[2])):
        path = args[WRITING[event]]
        if isinstance(path, (str, bytes, os.PathLike)):
            for noted in _noting:
                noted.written.append(Path(os.fsdecode(path)).absolute())


def _writes(mode: Any, flags: Any) -> bool:
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return bool(isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
