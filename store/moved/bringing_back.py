"""What was asked for is put back into the database, by a process that has the tables."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import psycopg

from store.errors import HistoryError
from store.moved.asking import KNOWN_SECONDS
from store.moved.batches import MovedBatch, batches_around
from store.moved.finding import Tables, find_moved
from store.moved.layout import STORED, Row

MOST = 10_000
"""Predictions that are brought back at once."""
_GIVEN_UP_SECONDS = 60
"""Who asked does not wait any more."""


def bring_back(conn: psycopg.Connection[Any], home: Path, use_cases: Collection[str]) -> int:
    """Look for predictions that were asked for, and put those that are found back; returns how many.

    What may lie in a table that is not here, or cannot be read, stays asked for: another worker may have it.
    Works in its own transactions.

    Raises:
        HistoryError: a table cannot be read; what lies in others has been put back.
        StorageError: the storage cannot be asked.
    """
    with conn.transaction():  # of its own: who asks again waits for rows that are being deleted
        conn.execute(
            "DELETE FROM prediction_asked WHERE"
            " (settled_at IS NULL AND asked_at < now() - make_interval(secs => %s))"
            " OR (NOT is_back AND settled_at < now() - make_interval(secs => %s))",
            (_GIVEN_UP_SECONDS, KNOWN_SECONDS),
        )
    with conn.transaction():
        asked = conn.execute(
            "SELECT id, use_case FROM prediction_asked WHERE settled_at IS NULL"
            " AND (use_case IS NULL OR use_case = ANY(%s)) ORDER BY asked_at LIMIT %s"
            " FOR UPDATE SKIP LOCKED",
            (list(use_cases), MOST),
        ).fetchall()
        ids = sorted(row[0] for row in asked)
        if not ids:
            return 0
        around = batches_around(conn, ids)
        rows, left, damage = _find(home, use_cases, around, ids)
        _put_back(conn, rows)
        conn.execute(
            "UPDATE prediction_asked SET settled_at = now(), is_back = id = ANY(%s) WHERE id = ANY(%s)",
            (list(rows), sorted(set(ids) - left)),
        )
    if damage is not None:
        raise damage
    return len(rows)


def _find(
    home: Path, use_cases: Collection[str], around: Sequence[MovedBatch], ids: Sequence[str]
) -> tuple[dict[str, tuple[str, Row]], set[str], HistoryError | None]:
    """What the tables of these use cases hold, what may lie where nobody here could look, and the fault."""
    rows: dict[str, tuple[str, Row]] = {}
    left: set[str] = set()
    damage: HistoryError | None = None
    for use_case in sorted({batch.use_case for batch in around}):
        batches = [batch for batch in around if batch.use_case == use_case]
        try:
            found = find_moved(Tables(home), batches, ids) if use_case in use_cases else None
        except HistoryError as error:  # which others do not wait for
            found, damage = None, error
        if found is None:
            left.update(one for batch in batches for one in batch.among(ids))
        else:
            rows |= found.rows
            left |= found.unreached
    return rows, left - rows.keys(), damage


def _put_back(conn: psycopg.Connection[Any], rows: dict[str, tuple[str, Row]]) -> None:
    columns = ", ".join(STORED)
    values = ", ".join("%s" for _ in STORED)
    with conn.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO prediction (use_case, {columns}) VALUES (%s, {values}) ON CONFLICT (id) DO NOTHING",
            [(use_case, *(row[name] for name in STORED)) for use_case, row in rows.values()],
        )
