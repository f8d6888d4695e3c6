"""The header of CSV: its separator, as declared or by the names it yields, and the columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO

from configs.spelling.letters import compose
from features.errors import SourceError
from features.files.batches import repeats
from features.files.layout import Layout
from features.files.readers.byte_streams import TextFile
from features.files.readers.delimited.lines import OPEN_QUOTE, split_leniently, split_line, split_record
from features.files.readers.delimited.quotes import OPEN, QuoteScanner
from features.files.readers.delimited.separators import SEPARATORS, declared_separator, name_of
from features.files.readers.encodings import ANOTHER_ENCODING, likely_encoding
from features.files.readers.limits import COLUMNS, HEADER_LINES, MB, QUOTED_BYTES

EMPTY = "empty; allowed: a line with the names of the columns, then rows"


@dataclass(frozen=True)
class Header:
    """Names of the columns, what separates them, the number of the header's last line, and what to tell."""

    columns: tuple[str, ...]
    separator: str
    line: int
    notes: tuple[str, ...] = ()


def read_header(text: TextFile, name: str, layout: Layout, usual: str = ",") -> Header:
    """Read the header, and leave the file at the line after it.

    Args:
        usual: the separator that a file of this name has.

    Raises:
        SourceError: there is no header, or it cannot be used.
    """
    lines = _Lines(text.file, name, text.encoding)
    first = lines.next_not_blank()
    declared = declared_separator(first)
    if declared is not None:
        separator = declared
        first = lines.next_not_blank()
    else:
        separator = layout.files.separator or _choose_separator(first, layout, usual)
    values = _values(lines, first, separator)
    columns, notes = _column_names(values, name, layout)
    if separator != usual and layout.files.separator is None:
        notes = (f"columns are separated by {name_of(separator)}", *notes)
    return Header(columns, separator, lines.number, notes)


class _Lines:
    """Lines at the beginning of a file, as text."""

    def __init__(self, file: IO[bytes], name: str, encoding: str) -> None:
        self.file, self.name, self.encoding, self.number = file, name, encoding, 0

    def next(self) -> str | None:
        raw = self.file.readline(QUOTED_BYTES)
        if not raw:
            return None
        if len(raw) == QUOTED_BYTES:
            raise SourceError(f"{self.name}: the header has a line of more than {QUOTED_BYTES // MB} MB")
        self.number += 1
        if self.number > HEADER_LINES:
            raise SourceError(f"{self.name}: no header within the first {HEADER_LINES} lines")
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise SourceError(self._not_text(raw)) from error

    def _not_text(self, raw: bytes) -> str:
        if self.encoding != "utf-8":
            return f"{self.name}: the header is not {self.encoding} text; {ANOTHER_ENCODING}"
        likely = likely_encoding(raw)
        return (
            f"{self.name}: the header is not UTF-8 text, but may be {likely}: "
            f"`files: {{encoding: {likely}}}` in the use case reads it so"
        )

    def next_not_blank(self) -> str:
        while (line := self.next()) is not None:
            if line.strip("\r\n"):
                return line
        raise SourceError(f"{self.name}: {EMPTY}")


def _choose_separator(line: str, layout: Layout, usual: str) -> str:
    """The one that yields most of the columns which are read; else the one that is there most often."""
    by_frequency: Callable[[str], tuple[int, bool]] = lambda one: (len(_split(line, one)), one == usual)  # noqa: E731
    if layout.columns is None:
        return usual if usual in line else max(SEPARATORS, key=by_frequency)
    return max(SEPARATORS, key=lambda one: (layout.count(_named(_split(line, one))), *by_frequency(one)))


def _split(line: str, separator: str) -> list[str]:
    return split_leniently(line, separator).values or line.split(separator)


def _values(lines: _Lines, first: str, separator: str) -> list[str]:
    pending = first
    while '"' in pending:
        end = QuoteScanner(pending.encode(), separator).end(0)
        if end != OPEN:
            break
        following = lines.next()
        if following is None or len(pending) > QUOTED_BYTES:
            raise SourceError(f"{lines.name}: the header cannot be read: {OPEN_QUOTE}")
        pending += following
    if '"' not in pending:
        line = split_line(pending, separator)
    else:
        line = split_record(pending, separator) or split_leniently(pending, separator)
    if line.problem is not None:
        raise SourceError(f"{lines.name}: the header cannot be read: {line.problem}")
    return line.values


def _named(values: Sequence[str]) -> list[str]:
    return [compose(value.strip()) or f"column {index}" for index, value in enumerate(values, 1)]


def _column_names(
    values: Sequence[str], name: str, layout: Layout
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if len(values) > COLUMNS:
        raise SourceError(f"{name}: {len(values)} columns; allowed: {COLUMNS}")
    columns = _named(values)
    repeated = repeats(columns)
    if repeated is None:
        return tuple(columns), ()
    read = [column for column in columns if layout.reads(column)]
    if (wrong := repeats(read)) is not None:
        raise SourceError(f"{name}: column '{wrong}' stands there more than once")
    return tuple(_numbered(columns)), (f"column '{repeated}' stands there more than once, and is not read",)


def _numbered(columns: Sequence[str]) -> list[str]:
    """Names of which each stands there once; the second of a name has its place behind it."""
    taken = set(columns)
    seen: set[str] = set()
    names = []
    for place, column in enumerate(columns, 1):
        name = column
        while name in seen or (name != column and name in taken):
            name = f"{name} ({place})"
        seen.add(name)
        names.append(name)
    return names
