"""Bodies of CSV as lines of values, or by what they differ from UTF-8 with commas."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection

from features.files.readers.delimited.separators import SEPARATORS, declared_separator, name_of
from features.files.readers.encodings import detect_encoding, likely_encoding
from service.errors import NotCsv


def csv_lines(body: bytes, known: Collection[str]) -> list[list[str]]:
    """The header and the rows of a body, without blank lines.

    Args:
        known: the columns of the use case, by which another separator is told.

    Raises:
        NotCsv: it is in another encoding, has another separator, cannot be read, or nothing is in it.
    """
    csv.field_size_limit(2**31 - 1)  # texts and images are long; the body itself is bounded
    text = _without_declaration(_decoded(body))
    try:
        lines = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    except csv.Error as error:
        raise NotCsv(str(error)) from error
    if not lines:
        raise NotCsv("nothing is in it")
    _ensure_commas(text, lines[0], set(known))
    return lines


def _decoded(body: bytes) -> str:
    encoding = detect_encoding(body, None)
    if encoding.name != "utf-8":
        raise NotCsv(encoding.note or f"encoding {encoding.name}")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotCsv(f"no UTF-8 text; it may be {likely_encoding(body)}") from error


def _without_declaration(text: str) -> str:
    """What follows a first line such as `sep=,`, by which spreadsheets say what stands between values."""
    first, _, rest = text.partition("\n")
    declared = declared_separator(first)
    if declared is None:
        return text
    if declared != ",":
        raise NotCsv(_separated_by(declared))
    return rest


def _ensure_commas(text: str, header: list[str], known: set[str]) -> None:
    """Refuse a header that has more of the known columns by another separator."""
    first = text.lstrip("\r\n").partition("\n")[0]
    found = len(known & set(header))
    for separator in SEPARATORS:
        names = {name.strip(' "\r') for name in first.split(separator)}
        if separator != "," and len(names) > 1 and len(known & names) > found:
            raise NotCsv(_separated_by(separator))


def _separated_by(separator: str) -> str:
    return f"columns are separated by {name_of(separator)}"
