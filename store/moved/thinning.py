"""What is old in the tables goes: whole batches by their age, save for predictions that have a label."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from store.moved.batches import batches_to_thin, note_thinned
from store.moved.finding import Tables

_IDS = 10_000
"""Asked for at once."""


def thin_old(
    conn: psycopg.Connection[Any], home: Path, use_case: str, before: datetime, *, dry_run: bool = False
) -> int:
    """Delete predictions without a label of batches that are older than a time; returns how many.

    Tables that are not here are left to who has them. Ends the caller's transaction.

    Raises:
        HistoryError: a table cannot be read or written.
        StorageError: the storage cannot be asked.
    """
    deleted = 0
    batches, tables = batches_to_thin(conn, use_case, before), Tables(home)
    conn.commit()
    for batch in batches:
        table = tables.of(use_case).get(batch.table_id)
        if table is None:
            continue
        ids = table.times_of(batch.batch)["id"].to_pylist()
        looked_at, kept = _labelled(conn, ids)
        deleted += len(ids) - len(kept)
        if dry_run:
            continue
        if len(kept) < len(ids):
            table.thin(batch.batch, kept)
        note_thinned(conn, batch.batch, len(kept), looked_at)
        conn.commit()
    return deleted


def _labelled(conn: psycopg.Connection[Any], ids: list[str]) -> tuple[datetime, set[str]]:
    """Which of these predictions have a label, and as of when."""
    (looked_at,) = conn.execute("SELECT now()").fetchone() or (None,)
    assert looked_at is not None
    kept: set[str] = set()
    for start in range(0, len(ids), _IDS):
        rows = conn.execute(
            "SELECT prediction_id FROM feedback WHERE prediction_id = ANY(%s)", (ids[start : start + _IDS],)
        )
        kept.update(row[0] for row in rows)
    conn.commit()
    return looked_at, kept
