"""A file of text as bytes of UTF-8: unpacked, recoded, and known to be whole where it is packed."""

from __future__ import annotations

import gzip
import stat
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from features.errors import SourceError
from features.files.readers.encodings import HEAD_BYTES, detect_encoding, recoded
from features.files.readers.limits import MB, UNPACKED_FREE, UNPACKED_RATIO

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
OTHERS = {
    b"\x1f\x8b": "packed by gzip; allowed: a name that ends in .gz, such as rows.csv.gz",
    b"PK\x03\x04": "a zip archive or a spreadsheet; allowed: its rows saved as CSV",
    b"PAR1": "a Parquet file; allowed: a name that ends in .parquet",
}
"""Beginnings of files that are no text."""


@dataclass(frozen=True)
class TextFile:
    """Bytes of UTF-8 with line feeds, how much of the file has been read (0 to 1), and what it is."""

    file: IO[bytes]
    position: Callable[[], float]
    encoding: str = "utf-8"
    notes: tuple[str, ...] = ()


def printable_name(path: Path) -> str:
    """The name of a file as text that the store can hold."""
    return path.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def check_regular(path: Path) -> None:
    """Make sure that a path leads to a file, not to a pipe that never ends or a device.

    Raises:
        SourceError: it does not.
        OSError: it leads nowhere.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        kind = KINDS.get(stat.S_IFMT(mode), "no file")
        raise SourceError(f"{path}: is {kind}; allowed: a regular file")


def open_text(path: Path, encoding: str | None) -> TextFile:
    """Open a file of text.

    Args:
        encoding: as declared for the use case; None: found out.

    Raises:
        SourceError: it is packed and damaged or too large, or it is no text.
    """
    packed = path.name.lower().endswith(".gz")
    if packed:
        check_packed(path)
    file, position = _open(path, packed=packed)
    try:
        head = file.read(HEAD_BYTES)
        for beginning, what in OTHERS.items():
            if head.startswith(beginning):
                raise SourceError(f"{path}: is {what}")
        known = detect_encoding(head, encoding)
        file.seek(known.mark_bytes)
    except BaseException:
        file.close()
        raise
    old = _has_old_line_ends(head[known.mark_bytes :])
    notes = [known.note] if known.note else []
    notes += ["lines end with carriage returns alone"] if old else []
    if known.name != "utf-8" or old:
        file = recoded(file, known.name, old_line_ends=old)
    return TextFile(file, position, known.name, tuple(notes))


def _open(path: Path, *, packed: bool) -> tuple[IO[bytes], Callable[[], float]]:
    size = max(1, path.stat().st_size)
    if not packed:
        plain = path.open("rb")
        return plain, lambda: 1.0 if plain.closed else min(1.0, plain.tell() / size)
    unpacked: Any = gzip.GzipFile(path)
    return unpacked, lambda: min(1.0, unpacked.fileobj.tell() / size) if unpacked.fileobj else 1.0


def _has_old_line_ends(head: bytes) -> bool:
    """Whether the beginning has carriage returns and no line feed; one at its very end says nothing."""
    return b"\n" not in head and b"\r" in head.rstrip(b"\r\x00")


def check_packed(path: Path) -> None:
    """Unpack a file once, so that one that is cut off or too large is refused before a row is stored.

    Raises:
        SourceError: it is damaged, or unpacks to more than is allowed.
    """
    most = max(UNPACKED_FREE, UNPACKED_RATIO * path.stat().st_size)
    total = 0
    try:
        with gzip.GzipFile(path) as file:
            while chunk := file.read(MB):
                total += len(chunk)
                if total > most:
                    raise SourceError(
                        f"{path}: unpacks to more than {UNPACKED_RATIO} times its size and more than "
                        f"{UNPACKED_FREE // MB} MB; allowed: less, or the file unpacked"
                    )
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise SourceError(f"{path}: damaged: {error}; nothing of it was read") from error
