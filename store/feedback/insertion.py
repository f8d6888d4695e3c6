"""Labelled records into PostgreSQL, and the predictions that they answer.

One way in for one row and for a million: COPY into a temporary table of the session, then one
INSERT that knows what to do with rows that are already there. Functions take a connection and
work in a transaction of their own on it; what they wrote is durable when they return, unless
the caller has a transaction open around them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row

from store.database.locks import lock_transaction

LABELS_CHANNEL = "ratchet_labels"
"""Notices that labels have come; they name the use case."""


@dataclass(frozen=True)
class FeedbackBatch:
    """Labelled records as columns of equal length; an identity is what makes a row the same row again."""

    identity: Sequence[str]
    record_json: Sequence[str]
    label: Sequence[str]
    source: str
    event_time: Sequence[str | datetime | None] | None = None
    prediction_id: Sequence[str | None] | None = None

    def __len__(self) -> int:
        return len(self.identity)


@dataclass(frozen=True)
class FeedbackCounts:
    """What became of a batch: `new` rows, rows that `corrected` an earlier one, and `duplicates`."""

    new: int = 0
    corrected: int = 0
    duplicates: int = 0

    def __add__(self, other: FeedbackCounts) -> FeedbackCounts:
        return FeedbackCounts(
            self.new + other.new, self.corrected + other.corrected, self.duplicates + other.duplicates
        )


INCOMING_FEEDBACK = """
    CREATE TEMP TABLE IF NOT EXISTS incoming_feedback (
        identity text, record jsonb, label text, event_time timestamptz, prediction_id text
    ) ON COMMIT DELETE ROWS"""
COPY_FEEDBACK: LiteralString = (
    "COPY incoming_feedback (identity, record, label, event_time, prediction_id) FROM STDIN"
)
INSERT_FEEDBACK = """
    INSERT INTO feedback (use_case, identity, record, label, event_time, prediction_id, source)
    SELECT %(use_case)s, identity, record, label, event_time, prediction_id, %(source)s
    FROM incoming_feedback
    ON CONFLICT (use_case, identity) DO NOTHING"""
CORRECT_FEEDBACK = """
    WITH changed AS (
        SELECT old.use_case, old.identity, old.seq, old.record, old.label, old.received_at, old.event_time
        FROM feedback old JOIN incoming_feedback i ON old.identity = i.identity
        WHERE old.use_case = %(use_case)s AND (old.label <> i.label OR old.record <> i.record)
        FOR UPDATE OF old
    ), kept AS (
        INSERT INTO feedback_correction (use_case, identity, seq, record, label, received_at, event_time)
        SELECT use_case, identity, seq, record, label, received_at, event_time FROM changed
    )
    UPDATE feedback f
    SET record = i.record, label = i.label, seq = nextval('feedback_seq'), received_at = now(),
        event_time = coalesce(i.event_time, f.event_time),
        prediction_id = coalesce(i.prediction_id, f.prediction_id), source = %(source)s
    FROM incoming_feedback i JOIN changed c ON c.identity = i.identity
    WHERE f.use_case = %(use_case)s AND f.identity = c.identity"""


def add_feedback(conn: psycopg.Connection[Any], use_case: str, batch: FeedbackBatch) -> FeedbackCounts:
    """Store labelled records.

    An identity that is there already with the same record and label is a duplicate; with
    another, the row is corrected: the old one is kept in `feedback_correction` and the new one
    counts as the newest. Of an identity that repeats within the batch the last row stands.
    """
    n = len(batch)
    if n == 0:
        return FeedbackCounts()
    missing: Sequence[None] = [None] * n
    rows: Iterable[tuple[Any, ...]] = zip(
        batch.identity, batch.record_json, batch.label,
        batch.event_time or missing, batch.prediction_id or missing, strict=True,
    )  # fmt: skip
    if len(set(batch.identity)) < n:
        rows = {row[0]: row for row in rows}.values()
    parameters = {"use_case": use_case, "source": batch.source}
    with conn.transaction(), conn.cursor() as cursor:
        if n > 1:
            # Two batches that hold the same rows in another order would wait for each other.
            lock_transaction(conn, "feedback", use_case)
        cursor.execute(INCOMING_FEEDBACK)
        cursor.execute("DELETE FROM incoming_feedback")  # of an earlier call in the caller's transaction
        with cursor.copy(COPY_FEEDBACK) as copy:
            for row in rows:
                copy.write_row(row)
        new = cursor.execute(INSERT_FEEDBACK, parameters).rowcount
        corrected = cursor.execute(CORRECT_FEEDBACK, parameters).rowcount if new < n else 0
        if new or corrected:
            cursor.execute("SELECT pg_notify(%s, %s)", (LABELS_CHANNEL, use_case))
    return FeedbackCounts(new, corrected, n - new - corrected)


def find_predictions(
    conn: psycopg.Connection[Any], use_case: str, ids: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """The stored predictions among `ids`, by id; `record` is JSON text, as it goes into feedback."""
    with conn.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            "SELECT id, record_id, record::text AS record, label, score, scores, model_version, source, "
            "predicted_at FROM prediction WHERE use_case = %s AND id = ANY(%s)",
            (use_case, list(ids)),
        )
        return {row["id"]: row for row in cursor}
