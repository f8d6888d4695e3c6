"""One line or record of CSV as values, or what is wrong with it."""

from __future__ import annotations

import csv
from dataclasses import dataclass

OPEN_QUOTE = "a quote is never closed"
STRAY_QUOTE = "a quote in the wrong place"
STRAY_RETURN = "a carriage return in the middle of the line"


@dataclass(frozen=True)
class Line:
    """Values of a row (none for a blank line), or what is wrong with it."""

    values: list[str]
    problem: str | None = None


def split_line(text: str, separator: str) -> Line:
    """A line without quotes."""
    text = text.rstrip("\r\n")
    if "\r" in text:
        return Line([], STRAY_RETURN)
    return Line(text.split(separator) if text else [])


def split_record(text: str, separator: str) -> Line | None:
    """A record of one or more lines, each quote in its place; None where one is not."""
    rows = _parse(text, separator, strict=True)
    return None if rows is None or len(rows) != 1 else Line(rows[0])


def split_leniently(text: str, separator: str) -> Line:
    """One line with a stray quote, which is taken as it is, but may not reach into other lines."""
    marked = text.rstrip("\r\n") + "\n"
    rows = _parse(marked, separator, strict=False)
    if rows is None or len(rows) != 1:
        return Line([], STRAY_QUOTE)
    is_open = any("\n" in value for value in rows[0])  # the line end went into a value
    return Line([], STRAY_QUOTE) if is_open else Line(rows[0])


def _parse(text: str, separator: str, *, strict: bool) -> list[list[str]] | None:
    try:
        return list(csv.reader([text], delimiter=separator, strict=strict))
    except csv.Error:
        return None
