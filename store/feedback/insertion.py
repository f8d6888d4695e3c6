"""Labelled records into PostgreSQL, and the predictions that they answer.

One way in for one row and for a million: COPY into a temporary table of the session, then one
INSERT, and for rows that are already there what `store.feedback.corrections` decides. Functions take a
connection and work in a transaction of their own on it; what they wrote is durable when they return,
unless the caller has a transaction open around them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import repeat
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row

from store.database.locks import lock_transaction, share_transaction
from store.feedback.corrections import KEEP_SUPERSEDED, FeedbackCounts, correct, drop_taken_back
from store.feedback.links import LOCK_RECORDS, recognise_answers, recognise_records
from store.feedback.sources import OPEN

HTTP_SOURCE = "http"
"""What rows are told to be from that came over HTTP; others bear the name of their file."""
LABELS_CHANNEL = "ratchet_labels"
"""Notices that labels have come; they name the use case."""


@dataclass(frozen=True)
class FeedbackBatch:
    """Labelled records as columns of equal length; an identity is what makes a row the same row again."""

    identity: Sequence[str]
    record_json: Sequence[str]
    label: Sequence[str]
    source: str
    """The door or file that they came by."""
    event_time: Sequence[str | datetime | None] | None = None
    prediction_id: Sequence[str | None] | None = None
    record_id: Sequence[str | None] | None = None
    """The own ids of records that were predicted on; an identity `i:` has its own."""
    record_group: Sequence[str | None] | None = None
    """What records are grouped by, where that is no field (`record.group`)."""
    said_by: str | Sequence[str] = OPEN
    """Who says so, of all rows or of each."""
    told_now: bool = True
    """Whether rows without an event time are told now, as by a person; of a file nobody knows when."""

    def __len__(self) -> int:
        return len(self.identity)

    def take(self, rows: Sequence[int]) -> FeedbackBatch:
        """Some of the rows, by position."""

        def some(values: Sequence[Any] | None) -> list[Any] | None:
            return None if values is None else [values[row] for row in rows]

        return replace(
            self,
            identity=some(self.identity) or [],
            record_json=some(self.record_json) or [],
            label=some(self.label) or [],
            event_time=some(self.event_time),
            prediction_id=some(self.prediction_id),
            record_id=some(self.record_id),
            record_group=some(self.record_group),
            said_by=self.said_by if isinstance(self.said_by, str) else some(self.said_by) or [],
        )


def label_predictions(
    ids: Sequence[str],
    record_ids: Sequence[str | None] | None,
    documents: Sequence[str],
    labels: Sequence[str],
    source: str,
    record_groups: Sequence[str | None] | None = None,
    said_by: str = OPEN,
) -> FeedbackBatch:
    """The labels of predictions as feedback; `documents` are canonical JSON of their records."""
    names = [f"p:{one}" for one in ids]
    return FeedbackBatch(
        names,
        documents,
        labels,
        source,
        prediction_id=ids,
        record_id=record_ids,
        record_group=record_groups,
        said_by=said_by,
    )


INCOMING_FEEDBACK = """
    CREATE TEMP TABLE IF NOT EXISTS incoming_feedback (
        identity text, record jsonb, label text, event_time timestamptz, prediction_id text, record_id text,
        record_group text, said_by text
    ) ON COMMIT DELETE ROWS"""
COPY_FEEDBACK: LiteralString = (
    "COPY incoming_feedback "
    "(identity, record, label, event_time, prediction_id, record_id, record_group, said_by) FROM STDIN"
)
INSERT_FEEDBACK = """
    INSERT INTO feedback (
        use_case, identity, record, label, event_time, prediction_id, record_id, record_group, said_by,
        source)
    SELECT %(use_case)s, identity, record, label, event_time, prediction_id, record_id, record_group, said_by,
        %(source)s
    FROM incoming_feedback
    ON CONFLICT (use_case, identity) DO NOTHING"""

Row = tuple[Any, ...]
"""As `COPY_FEEDBACK` names the columns."""


def add_feedback(conn: psycopg.Connection[Any], use_case: str, batch: FeedbackBatch) -> FeedbackCounts:
    """Store labelled records.

    An identity that is there already with the same record and label is a duplicate; with another, the row
    is corrected where the news is no older than what stands: the old one is kept in `feedback_correction`
    and the new one counts as the newest. Older news is stale, and kept there too. A truth that came by
    another way before is the same row. Of an identity that one source repeats within the batch the newest
    event stands, of equal times the last row. What several sources say of one row is decided by
    `store.feedback.votes`.
    """
    n = len(batch)
    if n == 0:
        return FeedbackCounts()
    rows, stale = _newest_of_each(batch)
    # Those that answer predictions come first: the others may be the same truths.
    answers = [row for row in rows if row[4] is not None] if batch.prediction_id else []
    others = [row for row in rows if row[4] is None] if batch.prediction_id else rows
    with conn.transaction(), conn.cursor() as cursor:
        # Two batches that hold the same rows in another order would wait for each other.
        (lock_transaction if n > 1 else share_transaction)(conn, "feedback", use_case)
        counts = FeedbackCounts(stale=len(stale))
        for part in (answers, others):
            if part:
                counts += _add(cursor, use_case, batch, part)
        if stale:
            _copy(cursor, stale)
            cursor.execute(KEEP_SUPERSEDED, {"use_case": use_case})
        if counts.new or counts.corrected or counts.outvoted:
            cursor.execute("SELECT pg_notify(%s, %s)", (LABELS_CHANNEL, use_case))
    return replace(counts, duplicates=n - counts.rows)


def _newest_of_each(batch: FeedbackBatch) -> tuple[list[Row], list[Row]]:
    """One row an identity and source, and those that were superseded by one of another time in the batch."""
    missing: Sequence[None] = [None] * len(batch)
    rows = zip(
        batch.identity, batch.record_json, batch.label, batch.event_time or missing,
        batch.prediction_id or missing, batch.record_id or missing, batch.record_group or missing,
        repeat(batch.said_by, len(batch)) if isinstance(batch.said_by, str) else batch.said_by, strict=True,
    )  # fmt: skip
    if len(set(batch.identity)) == len(batch):
        return list(rows), []
    newest: dict[tuple[str, str], Row] = {}
    superseded: list[Row] = []
    for row in rows:
        name = row[0], row[-1]
        older, newer = _in_order(newest.get(name, row), row)
        newest[name] = newer
        if older[3] != newer[3] and older[1:3] != newer[1:3]:
            superseded.append(older)
    return list(newest.values()), superseded


def _in_order(first: Row, second: Row) -> tuple[Row, Row]:
    """By their times; without one, or of one time, as they came."""
    is_older = first[3] is not None and second[3] is not None and second[3] < first[3]
    return (second, first) if is_older else (first, second)


def _add(
    cursor: psycopg.Cursor[Any], use_case: str, batch: FeedbackBatch, rows: Sequence[Row]
) -> FeedbackCounts:
    """Store rows that all answer predictions, or none of which does; duplicates are not counted."""
    _copy(cursor, rows)
    if len(batch) == 1:
        cursor.execute(LOCK_RECORDS, {"use_case": use_case})
    if rows[0][4] is None:
        recognise_records(cursor, use_case)
    else:
        recognise_answers(cursor, use_case, {row[0]: row[1] for row in rows})
    stale = drop_taken_back(cursor, use_case, told_now=batch.told_now)
    new = cursor.execute(INSERT_FEEDBACK, {"use_case": use_case, "source": batch.source}).rowcount
    if new + stale == len(rows):
        return FeedbackCounts(new, stale=stale)
    return FeedbackCounts(new, stale=stale) + correct(cursor, use_case, batch.source, told_now=batch.told_now)


def _copy(cursor: psycopg.Cursor[Any], rows: Iterable[Row]) -> None:
    cursor.execute(INCOMING_FEEDBACK)
    cursor.execute("DELETE FROM incoming_feedback")  # of an earlier call in the caller's transaction
    with cursor.copy(COPY_FEEDBACK) as copy:
        for row in rows:
            copy.write_row(row)


def find_predictions(
    conn: psycopg.Connection[Any], use_case: str, ids: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """The stored predictions among `ids`, by id; `record` is JSON text, as it goes into feedback."""
    with conn.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            "SELECT id, record_id, record_group, record::text AS record, label, score, scores, "
            "model_version, source, predicted_at FROM prediction WHERE use_case = %s AND id = ANY(%s)",
            (use_case, list(ids)),
        )
        return {row["id"]: row for row in cursor}
