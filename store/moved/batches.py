"""What the database says of moved predictions: which batch lies in which table, and between which ids."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg.rows import class_row


@dataclass(frozen=True)
class MovedBatch:
    """Predictions of one day, or a part of them, that were moved at once."""

    batch: int
    """Rising, also over use cases."""
    use_case: str
    name: str
    """Of the table: the digest of the `record` section."""
    table_id: str
    """What the table itself says that it is, wherever it lies: a copy says the same."""
    rows: int
    first_id: str
    last_id: str
    first_at: datetime
    last_at: datetime

    def among(self, ids: Sequence[str]) -> Sequence[str]:
        """Those of ascending ids that it may hold."""
        return ids[bisect_left(ids, self.first_id) : bisect_right(ids, self.last_id)]


_COLUMNS: LiteralString = "batch, use_case, name, table_id, rows, first_id, last_id, first_at, last_at"


def next_batch(conn: psycopg.Connection[Any]) -> int:
    """A number that no batch of any table has."""
    row = conn.execute("SELECT nextval('prediction_batch_number')").fetchone()
    assert row is not None
    return int(row[0])


def go_beyond(conn: psycopg.Connection[Any], batch: int) -> None:
    """Have later batches get greater numbers than one that a table has: the database may be of before it."""
    conn.execute(
        "SELECT nextval('prediction_batch_number')"
        " FROM generate_series((SELECT last_value FROM prediction_batch_number), %s)",
        (batch,),
    )


def is_noted(conn: psycopg.Connection[Any], batch: int) -> bool:
    """Whether the predictions of a batch have been deleted from the database."""
    return conn.execute("SELECT FROM prediction_batch WHERE batch = %s", (batch,)).fetchone() is not None


def note_batch(conn: psycopg.Connection[Any], batch: MovedBatch) -> None:
    """Say where predictions are that the same transaction deletes."""
    conn.execute(
        f"INSERT INTO prediction_batch ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            batch.batch, batch.use_case, batch.name, batch.table_id, batch.rows,
            batch.first_id, batch.last_id, batch.first_at, batch.last_at,
        ),
    )  # fmt: skip


def batches_around(
    conn: psycopg.Connection[Any], ids: Sequence[str], use_case: str | None = None
) -> list[MovedBatch]:
    """Batches that may hold some of these predictions, oldest first.

    Args:
        use_case: only its own; None: of all.
    """
    if not ids:
        return []
    with conn.cursor(row_factory=class_row(MovedBatch)) as cursor:
        found = cursor.execute(
            f"SELECT {_COLUMNS} FROM prediction_batch WHERE rows > 0 AND last_id >= %(first)s"
            " AND first_id <= %(last)s AND (%(use_case)s::text IS NULL OR use_case = %(use_case)s)"
            " ORDER BY batch",
            {"first": min(ids), "last": max(ids), "use_case": use_case},
        ).fetchall()
    ordered = sorted(ids)
    return [batch for batch in found if batch.among(ordered)]


def batches_to_thin(conn: psycopg.Connection[Any], use_case: str, before: datetime) -> list[MovedBatch]:
    """Batches older than a time that hold predictions without a label, oldest first.

    Those are all that were not thinned yet, and those of which a label was taken back since, or on the day
    before: the clock may have been set back.
    """
    with conn.cursor(row_factory=class_row(MovedBatch)) as cursor:
        return cursor.execute(
            f"SELECT {_COLUMNS} FROM prediction_batch b WHERE use_case = %s AND rows > 0 AND last_at < %s"
            " AND (thinned_at IS NULL OR EXISTS (SELECT FROM label_taken_back t WHERE t.use_case = b.use_case"
            ' AND t.prediction_id COLLATE "C" BETWEEN b.first_id AND b.last_id'
            " AND t.taken_back_at >= b.thinned_at - interval '1 day')) ORDER BY batch",
            (use_case, before),
        ).fetchall()


def note_thinned(conn: psycopg.Connection[Any], batch: int, rows: int, since: datetime) -> None:
    """Say how many predictions a batch has left.

    Args:
        since: before that was looked at; what is taken back later is looked for again.
    """
    conn.execute(
        "UPDATE prediction_batch SET rows = %s, thinned_at = %s WHERE batch = %s", (rows, since, batch)
    )
