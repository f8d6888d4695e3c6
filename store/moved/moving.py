"""Old predictions go from the database into the table: written there first, then deleted here, in batches.

A batch is committed in the table with its number; one transaction then deletes its rows and notes the
batch. Killed between the two, the next move finds a batch that is not noted, and does only what is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from psycopg.rows import dict_row

from configs.schema import UseCase
from features.records.rows import stored_rows_at_once
from store.errors import HistoryBusy
from store.moved.batches import MovedBatch, batches_around, go_beyond, is_noted, next_batch, note_batch
from store.moved.counting import IS_OLD, RESTS, parameters_of, whole_days
from store.moved.finding import Tables, find_moved
from store.moved.layout import Row
from store.moved.places import prediction_table, prediction_tables
from store.moved.table import WHAT, PredictionTable

MOST_ROWS = 100_000
"""Of a batch: as many are deleted in one transaction."""
_CHUNK = 5_000
"""Rows that are in memory at once, as the database gives them, of records that are not wide."""
_SELECT: LiteralString = (
    "SELECT id, predicted_at, record_id, record_group, label, score, scores::text AS scores, model_version,"
    " source, record::text AS record FROM prediction WHERE id = ANY(%s)"
)


@dataclass(frozen=True)
class Part:
    """Predictions of one day that are moved at once, as they are in the database."""

    ids: Sequence[str]
    last_at: datetime


def move_old(
    conn: psycopg.Connection[Any],
    home: Path,
    use_case: UseCase,
    before: datetime,
    *,
    most: int = MOST_ROWS,
) -> int:
    """Move the predictions of whole days before a time, and return how many have left the database.

    Nobody else may do so for the use case meanwhile. Ends the caller's transaction.

    Args:
        most: of a batch.

    Raises:
        HistoryError: a table cannot be read or written.
        StorageError: the storage cannot be asked.
    """
    conn.commit()
    moved = finish_moves(conn, home, use_case.name)
    table = prediction_table(home, use_case.name, use_case.record)
    after: datetime | None = None
    while (part := _next_part(conn, use_case.name, before, after, most)) is not None:
        gone = _move(conn, table, Tables(home), part.ids)
        # There may be more of the same time; where none could go there is no use in looking again.
        after = part.last_at + timedelta(microseconds=0 if gone and len(part.ids) == most else 1)
        moved += gone
    _forget_asked(conn)
    return moved


def finish_moves(conn: psycopg.Connection[Any], home: Path, use_case: str) -> int:
    """Delete from the database what a move that was cut off has written; returns how many rows.

    So it is with all that was moved since a dump was made from which the database was restored.

    Raises:
        HistoryError: a table cannot be read.
        StorageError: the storage cannot be asked.
    """
    finished = 0
    for table in prediction_tables(home, use_case):
        last = table.last_batch()
        if last and not is_noted(conn, last):
            for number in sorted({*table.batches(), last}):
                if not is_noted(conn, number):
                    finished += _delete(conn, table, number)
            go_beyond(conn, last)
        conn.commit()
    return finished


def _next_part(
    conn: psycopg.Connection[Any], use_case: str, before: datetime, after: datetime | None, most: int
) -> Part | None:
    """The oldest predictions of one day, `most` of them; None: there are none."""
    parameters = parameters_of(use_case, before) | {"after": after, "most": most}
    since = "predicted_at >= coalesce(%(after)s::timestamptz, '-infinity')"
    first = conn.execute(f"SELECT min(predicted_at) FROM prediction p WHERE {IS_OLD} AND {since}", parameters)
    (oldest,) = first.fetchone() or (None,)
    if oldest is None:
        conn.commit()
        return None
    rows = conn.execute(
        f"SELECT id, predicted_at FROM prediction p WHERE {IS_OLD} AND predicted_at >= %(oldest)s"
        " AND predicted_at < %(next)s ORDER BY predicted_at, id LIMIT %(most)s",
        parameters | {"oldest": oldest, "next": whole_days(oldest) + timedelta(days=1)},
    ).fetchall()
    conn.commit()
    return Part([row[0] for row in rows], rows[-1][1])


def _move(conn: psycopg.Connection[Any], table: PredictionTable, tables: Tables, ids: Sequence[str]) -> int:
    """Write what the table does not hold, and delete all that it then holds; returns how many rows."""
    around = batches_around(conn, ids, table.use_case)
    # Brought back, or stored late from a log: what is there already is not written again.
    found = find_moved(tables, around, ids)
    _forget(conn, list(found.rows))
    fresh = sorted(set(ids) - found.rows.keys() - found.unreached)
    if not fresh:
        return len(found.rows)
    after, number = table.last_batch(), next_batch(conn)
    if after and not is_noted(conn, after):
        raise HistoryBusy(
            f"{WHAT} at {table.uri} got batch {after} of another process; the next move goes on"
        )
    conn.commit()
    table.append(number, after, _lines(conn, table, number, fresh))
    conn.commit()
    return len(found.rows) + _delete(conn, table, number)


def _lines(
    conn: psycopg.Connection[Any], table: PredictionTable, number: int, ids: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    with conn.cursor(row_factory=dict_row) as cursor:
        chunk = stored_rows_at_once(table.layout.record, _CHUNK)
        for start in range(0, len(ids), chunk):
            found = cursor.execute(_SELECT, (list(ids[start : start + chunk]),)).fetchall()
            rows: list[Row] = sorted(found, key=lambda row: str(row["id"]))
            yield from table.layout.lines(number, rows).to_batches()


def _delete(conn: psycopg.Connection[Any], table: PredictionTable, number: int) -> int:
    """Delete what a batch of the table holds, and note the batch, in one transaction."""
    held = table.times_of(number)
    identity, ids = table.identity(), held["id"].to_pylist()
    assert identity is not None
    first_id, last_id = (ids[0], ids[-1]) if ids else ("", "")  # they had gone before they were written
    times = pc.min_max(held["predicted_at"]).as_py()
    first_at, last_at = (times[end] or datetime.now(UTC) for end in ("min", "max"))
    with conn.transaction():
        _delete_rows(conn, ids)
        note_batch(
            conn,
            MovedBatch(
                number, table.use_case, table.layout.name, identity, len(ids),
                first_id, last_id, first_at, last_at,
            ),
        )  # fmt: skip
    return len(ids)


def _forget(conn: psycopg.Connection[Any], ids: list[str]) -> None:
    with conn.transaction():
        _delete_rows(conn, ids)


def _delete_rows(conn: psycopg.Connection[Any], ids: list[str]) -> None:
    conn.execute("DELETE FROM prediction WHERE id = ANY(%s)", (ids,))
    conn.execute("DELETE FROM prediction_asked WHERE id = ANY(%s)", (ids,))


def _forget_asked(conn: psycopg.Connection[Any]) -> None:
    """Delete what is known of predictions that were asked for and are not in the database."""
    conn.execute(
        "DELETE FROM prediction_asked a WHERE settled_at < now() - %s::interval"
        " AND NOT EXISTS (SELECT FROM prediction p WHERE p.id = a.id)",
        (RESTS,),
    )
    conn.commit()
