"""Which of two truths of one row stands: the newer one, by when it happened, not by when it was read.

A truth is as old as its event; without an event time, as its arrival, where it is told now. Of a file
without times nobody knows when a row was true: it corrects, but what it said before and was corrected
since is no news. The same goes for two truths of one time. What does not stand is kept in
`feedback_correction`, once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg


@dataclass(frozen=True)
class FeedbackCounts:
    """What became of a batch: `new` rows, rows that `corrected` an earlier one, and `duplicates`."""

    new: int = 0
    corrected: int = 0
    duplicates: int = 0
    stale: int = 0
    """Rows that say what was true before something newer that is stored."""

    def __add__(self, other: FeedbackCounts) -> FeedbackCounts:
        return FeedbackCounts(
            self.new + other.new,
            self.corrected + other.corrected,
            self.duplicates + other.duplicates,
            self.stale + other.stale,
        )


CHANGED = """
    CREATE TEMP TABLE IF NOT EXISTS changed_feedback (identity text, fate text) ON COMMIT DELETE ROWS"""
# An event cannot be later than its arrival, whatever a file or an earlier release has written.
DECIDE = """
    INSERT INTO changed_feedback (identity, fate)
    SELECT f.identity, CASE
        WHEN f.label = i.label AND f.record = i.record THEN 'confirmed'
        WHEN t.arriving < t.standing THEN 'stale'
        WHEN t.arriving > t.standing THEN 'corrected'
        WHEN EXISTS (
            SELECT FROM feedback_correction c WHERE c.use_case = %(use_case)s AND c.identity = i.identity
                AND c.label = i.label AND c.record = i.record
        ) THEN 'stale'
        ELSE 'corrected' END
    FROM incoming_feedback i
    JOIN feedback f ON f.use_case = %(use_case)s AND f.identity = i.identity
    CROSS JOIN LATERAL (SELECT
        coalesce(least(i.event_time, CASE WHEN i.event_time IS NOT NULL THEN now() END),
            CASE WHEN %(told_now)s THEN clock_timestamp() END) AS arriving,
        coalesce(f.label_time, least(f.event_time, f.received_at)) AS standing) AS t
    WHERE f.label <> i.label OR f.record <> i.record OR least(i.event_time, now()) > t.standing
        AND i.event_time IS NOT NULL
    FOR UPDATE OF f"""
KEEP_CORRECTED = """
    INSERT INTO feedback_correction (use_case, identity, seq, record, label, received_at, event_time,
        record_group)
    SELECT f.use_case, f.identity, f.seq, f.record, f.label, f.received_at, f.event_time, f.record_group
    FROM changed_feedback c JOIN feedback f ON f.use_case = %(use_case)s AND f.identity = c.identity
    WHERE c.fate = 'corrected'"""
KEEP_STALE = """
    INSERT INTO feedback_correction (use_case, identity, seq, record, label, received_at, event_time,
        record_group)
    SELECT %(use_case)s, i.identity, nextval('feedback_seq'), i.record, i.label, now(), i.event_time,
        i.record_group
    FROM changed_feedback c JOIN incoming_feedback i ON i.identity = c.identity
    WHERE c.fate = 'stale' AND NOT EXISTS (
        SELECT FROM feedback_correction k WHERE k.use_case = %(use_case)s AND k.identity = i.identity
            AND k.label = i.label AND k.record = i.record)"""
KEEP_SUPERSEDED = """
    INSERT INTO feedback_correction (use_case, identity, seq, record, label, received_at, event_time,
        record_group)
    SELECT %(use_case)s, i.identity, nextval('feedback_seq'), i.record, i.label, now(), i.event_time,
        i.record_group
    FROM incoming_feedback i WHERE NOT EXISTS (
        SELECT FROM feedback_correction k WHERE k.use_case = %(use_case)s AND k.identity = i.identity
            AND k.label = i.label AND k.record = i.record)"""
"""Of rows that were superseded by others of the same batch."""
# A row finds the one that it corrects by the key, one by one: no plan of a join can make that quadratic.
CORRECT = """
    INSERT INTO feedback (
        use_case, identity, record, label, event_time, prediction_id, record_id, record_group, source)
    SELECT %(use_case)s, i.identity, i.record, i.label, i.event_time, i.prediction_id, i.record_id,
        i.record_group, %(source)s
    FROM changed_feedback c JOIN incoming_feedback i ON i.identity = c.identity
    WHERE c.fate = 'corrected'
    ON CONFLICT (use_case, identity) DO UPDATE SET record = excluded.record, label = excluded.label,
        seq = excluded.seq, received_at = now(),
        event_time = coalesce(excluded.event_time, feedback.event_time),
        label_time = CASE WHEN excluded.event_time IS NULL AND feedback.event_time IS NOT NULL THEN now() END,
        prediction_id = coalesce(excluded.prediction_id, feedback.prediction_id),
        record_id = coalesce(excluded.record_id, feedback.record_id),
        record_group = coalesce(excluded.record_group, feedback.record_group), source = excluded.source"""
CONFIRM = """
    UPDATE feedback f SET label_time = least(i.event_time, now())
    FROM changed_feedback c JOIN incoming_feedback i ON i.identity = c.identity
    WHERE c.fate = 'confirmed' AND f.use_case = %(use_case)s AND f.identity = c.identity"""
# What a row is grouped by may come later than the row: that makes it no new label.
REGROUP = """
    UPDATE feedback f SET record_group = i.record_group FROM incoming_feedback i
    WHERE f.use_case = %(use_case)s AND f.identity = i.identity AND i.record_group IS NOT NULL
        AND f.record_group IS DISTINCT FROM i.record_group
        AND NOT EXISTS (SELECT FROM changed_feedback c WHERE c.identity = i.identity AND c.fate = 'stale')"""
COUNT = """
    SELECT count(*) FILTER (WHERE fate = 'corrected'), count(*) FILTER (WHERE fate = 'stale'), count(*)
    FROM changed_feedback"""


def correct(cursor: psycopg.Cursor[Any], use_case: str, source: str, *, told_now: bool) -> FeedbackCounts:
    """Let rows of `incoming_feedback` correct those that are stored, where they are newer; counts no others.

    Args:
        told_now: whether rows without an event time are told now.
    """
    parameters = {"use_case": use_case, "source": source, "told_now": told_now}
    cursor.execute(CHANGED)
    cursor.execute("DELETE FROM changed_feedback")  # of an earlier call in the caller's transaction
    cursor.execute(DECIDE, parameters)
    corrected, stale, changed = cursor.execute(COUNT).fetchone() or (0, 0, 0)
    if stale:
        cursor.execute(KEEP_STALE, parameters)
    if corrected:
        cursor.execute(KEEP_CORRECTED, parameters)
        cursor.execute(CORRECT, parameters)
    if changed > corrected + stale:
        cursor.execute(CONFIRM, parameters)
    cursor.execute(REGROUP, parameters)
    return FeedbackCounts(corrected=corrected, stale=stale)
