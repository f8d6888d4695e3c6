"""Rows of a file as quarantine keeps them: whatever they hold, as plain values of bounded size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

KEPT_BYTES = 256 * 1024
"""Of a row; a longer one keeps the beginning of its values."""
KEPT_VALUES = 1_000
KEPT_TEXT = 200
"""Of the values, and of the characters of each, in a row that is too long."""
CUT = "… cut"


def plain_rows(table: pa.Table, rows: Sequence[int]) -> list[dict[str, Any]]:
    """Rows of a table by position; a value that Python has no form for is its text, or its type."""
    if not rows:
        return []
    part = table.take(pa.array(rows, pa.int64()))
    columns = [_values(part.column(index)) for index in range(part.num_columns)]
    return [dict(zip(part.column_names, values, strict=True)) for values in zip(*columns, strict=True)]


def _values(column: pa.ChunkedArray) -> list[Any]:
    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError, RecursionError, TypeError, LookupError, pa.ArrowException):
        return [_value(column[index]) for index in range(len(column))]


def _value(scalar: pa.Scalar) -> Any:
    """One value: years beyond 9999 and text that is not UTF-8 are among those without a form."""
    try:
        return scalar.as_py()
    except (ValueError, OverflowError, RecursionError, TypeError, LookupError, pa.ArrowException):
        pass
    try:
        return pc.cast(scalar, pa.string()).as_py()
    except (ValueError, TypeError, LookupError, pa.ArrowException):
        return f"unreadable {scalar.type}"[:KEPT_TEXT]


def bounded(row: dict[str, Any]) -> dict[str, Any]:
    """The row, or the beginning of its values where it is long."""
    if size_of(row, KEPT_BYTES) <= KEPT_BYTES:
        return row
    kept = {name[:KEPT_TEXT]: _cut(value) for name, value in list(row.items())[:KEPT_VALUES]}
    if len(row) > KEPT_VALUES:
        kept[CUT] = f"{len(row) - KEPT_VALUES} more columns"
    return kept


def bounded_text(text: str) -> str:
    """A line, or its beginning."""
    return text if len(text) <= KEPT_BYTES else f"{text[:KEPT_BYTES]}{CUT}"


def size_of(value: Any, most: int) -> int:
    """About the bytes that a value takes in JSON; no more is looked at than `most` bytes take."""
    total, waiting = 0, [value]
    while waiting and total <= most:
        one = waiting.pop()
        total += 4
        if isinstance(one, str | bytes):
            total += len(one)
        elif isinstance(one, dict):
            total += sum(len(str(name)) for name in list(one)[:most])
            waiting.extend(one.values())
        elif isinstance(one, list | tuple):
            total += 2 * len(one)
            waiting.extend(one[:most])
    return total


def _cut(value: Any) -> Any:
    if size_of(value, KEPT_TEXT) <= KEPT_TEXT:
        return value
    if isinstance(value, str | bytes):
        return f"{value[:KEPT_TEXT]!s}{CUT} ({len(value)} in all)"
    return f"{type(value).__name__} of {len(value)}{CUT}"
