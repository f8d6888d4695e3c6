"""Rows that were refused, kept with the reason: nothing that arrived is lost."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import orjson
import psycopg

from features.errors import RefusedRow

INSERT_ROW = """
    INSERT INTO quarantine (use_case, source, line, reason, "row", digest)
    VALUES (%s, %s, %s, %s, %s::jsonb, %s)
    ON CONFLICT (use_case, digest) DO NOTHING"""


def quarantine(conn: psycopg.Connection[Any], use_case: str, source: str, rows: Sequence[RefusedRow]) -> int:
    """Keep refused rows of `source`; the same row in the same place counts once. Returns the new ones."""
    with conn.transaction(), conn.cursor() as cursor:
        values = []
        for row in rows:
            text = row_json(row.row)
            values.append((use_case, source, row.line, row.reason, text, _digest(source, row.line, text)))
        cursor.executemany(INSERT_ROW, values)
        return max(cursor.rowcount, 0)


def row_json(row: dict[str, Any]) -> str:
    """JSON that PostgreSQL can hold of whatever a row contains: bytes as text, NUL replaced."""
    try:
        text = orjson.dumps(row, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError:  # halves of surrogate pairs, huge numbers, or nested too deeply
        text = orjson.dumps({"unreadable": _spelled(row)})
    return text.decode().replace("\\u0000", "\\ufffd")


def _spelled(row: dict[str, Any]) -> str:
    """A row that JSON cannot hold, as Python would write it."""
    try:
        return ascii(row)
    except (RecursionError, ValueError):  # ValueError: a number of thousands of digits
        return f"a row with the keys {', '.join(map(ascii, row))}"


def _plain(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _digest(source: str, line: int | None, text: str) -> str:
    return hashlib.blake2b(f"{source}\x00{line}\x00{text}".encode(), digest_size=16).hexdigest()
