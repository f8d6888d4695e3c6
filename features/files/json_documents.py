"""Rows in one JSON document: a list, or parts by name that each hold one.

    [{"text": "hello", "label": "greeting"}, ...]
    {"train": [["hello", "greeting"], ...], "test": [["bye", "farewell"], ...]}

A row is an object, or a pair of text and label. Rows from parts have the name of theirs in a column `part`.
The whole document is held in memory, so its size is limited.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from features.errors import SourceError
from features.files.batches import TOO_DEEP, is_too_deep

MOST_BYTES = 256 * 1024 * 1024
PART = "part"
PAIR = ("text", "label")
"""Names of what stands in a pair."""


def parse_json(text: bytes) -> Any:
    """What a text of JSON holds; NaN, Infinity and halves of letters are let through, for the fields to name.

    Raises:
        ValueError: it holds no JSON.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        try:
            return json.loads(text)
        except RecursionError:
            raise error from None
        except ValueError:
            raise error from None


def is_document(path: Path) -> bool:
    """Whether a `.json` file holds one document; where its first line is whole by itself, it holds lines."""
    with path.open("rb") as file:
        first, second = file.readline(MOST_BYTES), file.readline(1)
    if not second:
        return True
    try:
        return not isinstance(parse_json(first.removeprefix(b"\xef\xbb\xbf")), dict)
    except ValueError:
        return True


def read_document(path: Path) -> list[dict[str, Any]]:
    """All rows, in order.

    Raises:
        SourceError: it is no JSON, holds something else, or is too long.
    """
    if (size := path.stat().st_size) > MOST_BYTES:
        raise SourceError(
            f"{path}: {size} bytes in one JSON document; allowed: {MOST_BYTES}, or a row a line (.jsonl)"
        )
    try:
        document = parse_json(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except ValueError as error:
        raise SourceError(f"{path}: not JSON: {error}") from error
    if isinstance(document, list):
        return [_as_row(path, place, row) for place, row in _numbered("", document)]
    if isinstance(document, dict) and all(isinstance(rows, list) for rows in document.values()):
        return [
            {**_as_row(path, place, row), PART: part}
            for part, rows in document.items()
            for place, row in _numbered(part, rows)
        ]
    raise SourceError(
        f"{path}: got {type(document).__name__}; allowed: a list of rows, or lists of rows by name"
    )


def _numbered(part: str, rows: list[Any]) -> Iterator[tuple[str, Any]]:
    return ((f"{part}[{number}]", row) for number, row in enumerate(rows))


def _as_row(path: Path, place: str, row: Any) -> dict[str, Any]:
    if is_too_deep(row):
        raise SourceError(f"{path}: {place}: {TOO_DEEP}")
    if isinstance(row, dict):
        return row
    if isinstance(row, list) and len(row) == len(PAIR):
        return dict(zip(PAIR, row, strict=True))
    raise SourceError(f"{path}: {place}: got {row!r:.60}; allowed: an object, or a pair of text and label")
