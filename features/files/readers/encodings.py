"""Which encoding a file of text has, and its bytes as UTF-8 whatever it has."""

from __future__ import annotations

import codecs
import io
from dataclasses import dataclass
from typing import IO, Any

HEAD_BYTES = 64 * 1024
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""The mark of UTF-32 (little-endian) begins with that of UTF-16."""
UNREADABLE = "ratchet.unreadable"
ANOTHER_ENCODING = (
    "declare its encoding in the use case, such as `files: {encoding: cp1252}` for Windows-1252"
)


@dataclass(frozen=True)
class Encoding:
    """The encoding of a file, the length of its mark, and what is worth telling of it."""

    name: str
    mark_bytes: int = 0
    note: str | None = None


def detect_encoding(head: bytes, declared: str | None) -> Encoding:
    """By its mark, else as declared, else UTF-16 or UTF-32 by the zeros of plain text, else UTF-8."""
    for mark, name in MARKS:
        if head.startswith(mark):
            note = None if name in ("utf-8", declared) else f"encoding {name}, by the mark it begins with"
            return Encoding(name, len(mark), note)
    if declared is not None:
        return Encoding(declared)
    likely = _by_zeros(head)
    return (
        Encoding("utf-8") if likely is None else Encoding(likely, 0, f"encoding {likely}, by its zero bytes")
    )


def _by_zeros(head: bytes) -> str | None:
    """Text of Latin letters in UTF-16 has a zero in every second place, in UTF-32 in three of four."""
    head = head[: len(head) // 4 * 4]
    quarter = len(head) // 4
    if quarter == 0 or b"\x00" not in head:
        return None
    zeros = [head[place::4].count(0) / quarter for place in range(4)]
    patterns = {
        "utf-32-le": (False, True, True, True),
        "utf-32-be": (True, True, True, False),
        "utf-16-le": (False, True, False, True),
        "utf-16-be": (True, False, True, False),
    }
    for name, pattern in patterns.items():
        if all(share > 0.7 if zero else share < 0.1 for share, zero in zip(zeros, pattern, strict=True)):
            return name
    return None


def likely_encoding(data: bytes) -> str:
    """What text that is not UTF-8 may be, for a message."""
    if data.count(0) * 10 > len(data):
        return "utf-16"
    try:
        data.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"


def recoded(file: IO[bytes], encoding: str, *, old_line_ends: bool) -> IO[bytes]:
    """The rest of a file as UTF-8; what is no text in its encoding becomes a byte that is none in UTF-8."""
    codecs.register_error(UNREADABLE, lambda error: ("\udcff", getattr(error, "end", 0)))
    return io.BufferedReader(_Recoded(file, encoding, old_line_ends), buffer_size=HEAD_BYTES)


class _Recoded(io.RawIOBase):
    """Decodes as it is read; where lines end with carriage returns alone, they end with line feeds."""

    def __init__(self, file: IO[bytes], encoding: str, old_line_ends: bool) -> None:
        self.file = file
        self.decoder = None if encoding == "utf-8" else codecs.getincrementaldecoder(encoding)(UNREADABLE)
        self.old_line_ends = old_line_ends
        self.pending = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self.pending:
            raw = self.file.read(HEAD_BYTES)
            self.pending = self._decode(raw)
            if not raw:
                break
        count = min(len(buffer), len(self.pending))
        buffer[:count] = self.pending[:count]
        self.pending = self.pending[count:]
        return count

    def _decode(self, raw: bytes) -> bytes:
        data = raw
        if self.decoder is not None:
            text = self.decoder.decode(raw, final=not raw)
            data = text.encode("utf-8", "surrogateescape")
        return data.replace(b"\r", b"\n") if self.old_line_ends else data

    def close(self) -> None:
        if not self.closed:
            self.file.close()
        super().close()
