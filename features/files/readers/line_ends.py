"""Whether a file of lines stops within one, as one that is cut or still being written does."""

from __future__ import annotations

from pathlib import Path

LINES = (".csv", ".tsv")
"""Ends of names of files in which only the end of a line says that its last value is whole."""
DOCUMENTS = (".json", ".jsonl", ".ndjson")
"""Of those in which a closed bracket says it too."""
NO_LINE_END = "the last line has no end: if the file was cut there, its last value may be cut too"
_TAIL_BYTES = 256


def lacks_line_end(path: Path) -> bool:
    """Whether the last line has no end; a packed file or a table of another kind has none to lack.

    Raises:
        OSError: the file cannot be read.
    """
    name = path.name.lower()
    if not name.endswith(LINES + DOCUMENTS):
        return False
    tail = _tail(path).rstrip(b"\x00")  # in UTF-16 and UTF-32 zeros stand beside a line end
    if not tail or tail.endswith((b"\n", b"\r")):
        return False
    return name.endswith(LINES) or not tail.rstrip(b" \t\x00").endswith((b"}", b"]"))


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - _TAIL_BYTES))
        return file.read()
