"""What was asked for is put back into the database, by a process that has the tables."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import psycopg

from store.moved.batches import batches_around
from store.moved.finding import Tables, find_moved
from store.moved.layout import STORED, Row

MOST = 10_000
"""Predictions that are brought back at once."""
_GIVEN_UP_SECONDS = 60
"""Who asked does not wait any more."""


def bring_back(conn: psycopg.Connection[Any], home: Path, use_cases: Collection[str]) -> int:
    """Look for predictions that were asked for, and put those that are found back; returns how many.

    What may lie in a table that is not here is left to a worker that has it. Works in its own transaction.

    Raises:
        HistoryError: a table cannot be read.
        StorageError: the storage cannot be asked.
    """
    with conn.transaction():
        conn.execute(
            "DELETE FROM prediction_asked WHERE settled_at IS NULL"
            " AND asked_at < now() - make_interval(secs => %s)",
            (_GIVEN_UP_SECONDS,),
        )
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
        found = find_moved(Tables(home), [one for one in around if one.use_case in use_cases], ids)
        others = {one for batch in around if batch.use_case not in use_cases for one in batch.among(ids)}
        _put_back(conn, found.rows)
        looked_for = set(ids) - found.unreached - (others - found.rows.keys())
        conn.execute(
            "UPDATE prediction_asked SET settled_at = now(), is_back = id = ANY(%s) WHERE id = ANY(%s)",
            (list(found.rows), sorted(looked_for)),
        )
    return len(found.rows)


def _put_back(conn: psycopg.Connection[Any], rows: dict[str, tuple[str, Row]]) -> None:
    columns = ", ".join(STORED)
    values = ", ".join("%s" for _ in STORED)
    with conn.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO prediction (use_case, {columns}) VALUES (%s, {values}) ON CONFLICT (id) DO NOTHING",
            [(use_case, *(row[name] for name in STORED)) for use_case, row in rows.values()],
        )
