"""Which of two truths of one row stands: the newer one, by when it happened, not by when it was read.

A truth is as old as its event; without an event time, as its arrival, where it is told now. Of a file
without times nobody knows when a row was true: it corrects, but what it said before and was corrected
since is no news. The same goes for two truths of one time. What does not stand is kept in
`feedback_correction`, once. Of what several sources say of a row `store.feedback.votes` decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg

from store.feedback.votes import vote


@dataclass(frozen=True)
class FeedbackCounts:
    """What became of a batch: `new` rows, rows that `corrected` an earlier one, and `duplicates`."""

    new: int = 0
    corrected: int = 0
    duplicates: int = 0
    stale: int = 0
    """Rows that say what was true before something newer that is stored."""
    outvoted: int = 0
    """Labels that are kept as what their source says, while other sources decide."""

    @property
    def rows(self) -> int:
        """All of them."""
        return self.new + self.corrected + self.duplicates + self.stale + self.outvoted

    def __add__(self, other: FeedbackCounts) -> FeedbackCounts:
        return FeedbackCounts(
            self.new + other.new,
            self.corrected + other.corrected,
            self.duplicates + other.duplicates,
            self.stale + other.stale,
            self.outvoted + other.outvoted,
        )


CHANGED = """
    CREATE TEMP TABLE IF NOT EXISTS changed_feedback (identity text, said_by text, fate text, voted boolean)
    ON COMMIT DELETE ROWS"""
# `(SELECT %(use_case)s)`, here and wherever a table just filled is held against a large one: a value that the
# planner cannot see. One that it sees and does not know of, as the name of a use case that came after the
# last ANALYZE, it takes for one row, and goes through all rows of the use case for each that came.
# An event cannot be later than its arrival, whatever a file or an earlier release has written. A source is
# held against what it said before itself; only rows with several sources have votes. What is told now is
# newer than all that is stored, whatever the clock was set back to.
DECIDE = """
    INSERT INTO changed_feedback (identity, said_by, fate, voted)
    WITH touched AS MATERIALIZED (
        SELECT i.identity, i.said_by, i.label, i.record, i.event_time, f.label AS standing_label,
            f.record AS standing_record,
            coalesce(f.label_time, least(f.event_time, f.received_at)) AS standing,
            f.voted OR coalesce(f.said_by, 'earlier') <> i.said_by AS voted
        FROM incoming_feedback i
        JOIN feedback f ON f.use_case = (SELECT %(use_case)s) AND f.identity = i.identity
        WHERE f.voted OR coalesce(f.said_by, 'earlier') <> i.said_by OR f.label <> i.label
            OR f.record <> i.record OR i.event_time IS NOT NULL
            AND least(i.event_time, now()) > coalesce(f.label_time, least(f.event_time, f.received_at))
        FOR UPDATE OF f
    )
    SELECT i.identity, i.said_by, CASE
        WHEN own.label IS NULL THEN 'said'
        WHEN own.label = i.label AND own.record = i.record THEN 'confirmed'
        WHEN t.arriving < own.at THEN 'stale'
        WHEN t.arriving > own.at THEN 'corrected'
        WHEN EXISTS (
            SELECT FROM feedback_correction c WHERE c.use_case = (SELECT %(use_case)s)
                AND c.identity = i.identity AND c.label = i.label AND c.record = i.record
        ) THEN 'stale'
        ELSE 'corrected' END, i.voted
    FROM touched i
    LEFT JOIN feedback_vote v ON i.voted AND v.use_case = (SELECT %(use_case)s) AND v.identity = i.identity
        AND v.said_by = i.said_by
    CROSS JOIN LATERAL (SELECT
        CASE WHEN i.voted THEN v.label ELSE i.standing_label END AS label,
        CASE WHEN i.voted THEN v.record ELSE i.standing_record END AS record,
        CASE WHEN i.voted THEN v.at ELSE i.standing END AS at) AS own
    CROSS JOIN LATERAL (SELECT
        coalesce(least(i.event_time, CASE WHEN i.event_time IS NOT NULL THEN now() END),
            CASE WHEN %(told_now)s THEN 'infinity'::timestamptz END) AS arriving) AS t"""
KEEP_CORRECTED = """
    INSERT INTO feedback_correction (use_case, identity, seq, record, label, received_at, event_time,
        record_group)
    SELECT f.use_case, f.identity, f.seq, f.record, f.label, f.received_at, f.event_time, f.record_group
    FROM changed_feedback c JOIN feedback f ON f.use_case = (SELECT %(use_case)s) AND f.identity = c.identity
    WHERE c.fate = 'corrected' AND NOT c.voted"""
KEEP_STALE = """
    INSERT INTO feedback_correction (use_case, identity, seq, record, label, received_at, event_time,
        record_group)
    SELECT %(use_case)s, i.identity, nextval('feedback_seq'), i.record, i.label, now(), i.event_time,
        i.record_group
    FROM changed_feedback c JOIN incoming_feedback i USING (identity, said_by)
    WHERE c.fate = 'stale' AND NOT EXISTS (
        SELECT FROM feedback_correction k WHERE k.use_case = (SELECT %(use_case)s) AND k.identity = i.identity
            AND k.label = i.label AND k.record = i.record)"""
KEEP_SUPERSEDED = """
    INSERT INTO feedback_correction (use_case, identity, seq, record, label, received_at, event_time,
        record_group)
    SELECT %(use_case)s, i.identity, nextval('feedback_seq'), i.record, i.label, now(), i.event_time,
        i.record_group
    FROM incoming_feedback i WHERE NOT EXISTS (
        SELECT FROM feedback_correction k WHERE k.use_case = (SELECT %(use_case)s) AND k.identity = i.identity
            AND k.label = i.label AND k.record = i.record)"""
"""Of rows that were superseded by others of the same batch."""
# A row finds the one that it corrects by the key, one by one: no plan of a join can make that quadratic.
CORRECT = """
    INSERT INTO feedback (
        use_case, identity, record, label, event_time, prediction_id, record_id, record_group, said_by,
        source)
    SELECT %(use_case)s, i.identity, i.record, i.label, i.event_time, i.prediction_id, i.record_id,
        i.record_group, i.said_by, %(source)s
    FROM changed_feedback c JOIN incoming_feedback i USING (identity, said_by)
    WHERE c.fate = 'corrected' AND NOT c.voted
    ON CONFLICT (use_case, identity) DO UPDATE SET record = excluded.record, label = excluded.label,
        seq = excluded.seq, received_at = now(),
        event_time = coalesce(excluded.event_time, feedback.event_time),
        label_time = CASE WHEN excluded.event_time IS NULL
                AND (feedback.event_time IS NOT NULL
                    OR coalesce(feedback.label_time, feedback.received_at) > now())
            THEN greatest(
                now(), coalesce(feedback.label_time, least(feedback.event_time, feedback.received_at))) END,
        prediction_id = coalesce(excluded.prediction_id, feedback.prediction_id),
        record_id = coalesce(excluded.record_id, feedback.record_id),
        record_group = coalesce(excluded.record_group, feedback.record_group), source = excluded.source"""
CONFIRM = """
    UPDATE feedback f SET label_time = least(i.event_time, now())
    FROM changed_feedback c JOIN incoming_feedback i USING (identity, said_by)
    WHERE c.fate = 'confirmed' AND NOT c.voted AND f.use_case = (SELECT %(use_case)s)
        AND f.identity = c.identity"""
# What a row is grouped by may come later than the row: that makes it no new label.
REGROUP = """
    UPDATE feedback f SET record_group = i.record_group FROM incoming_feedback i
    WHERE f.use_case = (SELECT %(use_case)s) AND f.identity = i.identity AND i.record_group IS NOT NULL
        AND f.record_group IS DISTINCT FROM i.record_group
        AND NOT EXISTS (SELECT FROM changed_feedback c WHERE c.identity = i.identity AND c.said_by = i.said_by
            AND c.fate = 'stale')"""
_TAKEN_BACK: LiteralString = (
    "SELECT FROM label_taken_back WHERE use_case = %(use_case)s ORDER BY use_case, identity LIMIT 1"
)
# One row at a time through the index, as no join is planned well of a table just filled.
DROP_TAKEN_BACK = """
    DELETE FROM incoming_feedback i WHERE (i.event_time IS NOT NULL OR NOT %(told_now)s) AND (
        SELECT count(*) > 0 AND coalesce(i.event_time <= max(t.taken_back_at), true)
        FROM label_taken_back t WHERE t.use_case = (SELECT %(use_case)s) AND t.identity = i.identity
            AND t.said_by = i.said_by AND t.label = i.label AND t.record = i.record)"""
COUNT = """
    SELECT count(*) FILTER (WHERE fate = 'corrected' AND NOT voted),
        count(*) FILTER (WHERE fate = 'stale'), count(*) FILTER (WHERE fate = 'stale' AND NOT voted),
        count(*) FILTER (WHERE fate = 'confirmed' AND NOT voted), count(*) FILTER (WHERE voted)
    FROM changed_feedback"""


def drop_taken_back(cursor: psycopg.Cursor[Any], use_case: str, *, told_now: bool) -> int:
    """Drop rows of `incoming_feedback` that say again what their source took back; returns how many.

    A file that is read every night has the label still. Another label counts, and so does the same one that
    became true, or is told, after it was taken back.

    Args:
        told_now: whether rows without an event time are told now.
    """
    parameters = {"use_case": use_case, "told_now": told_now}
    if cursor.execute(_TAKEN_BACK, parameters).fetchone() is None:
        return 0
    return cursor.execute(DROP_TAKEN_BACK, parameters).rowcount


def correct(cursor: psycopg.Cursor[Any], use_case: str, source: str, *, told_now: bool) -> FeedbackCounts:
    """Let rows of `incoming_feedback` correct those that are stored, where they are newer; counts no others.

    Args:
        told_now: whether rows without an event time are told now.
    """
    parameters = {"use_case": use_case, "source": source, "told_now": told_now}
    cursor.execute(CHANGED)
    cursor.execute("DELETE FROM changed_feedback")  # of an earlier call in the caller's transaction
    cursor.execute(DECIDE, parameters)
    corrected, kept, stale, confirmed, voted = cursor.execute(COUNT).fetchone() or (0, 0, 0, 0, 0)
    if kept:
        cursor.execute(KEEP_STALE, parameters)
    if corrected:
        cursor.execute(KEEP_CORRECTED, parameters)
        cursor.execute(CORRECT, parameters)
    if confirmed:
        cursor.execute(CONFIRM, parameters)
    cursor.execute(REGROUP, parameters)
    counts = FeedbackCounts(corrected=corrected, stale=stale)
    return counts + FeedbackCounts(**vote(cursor, use_case, source, told_now=told_now)) if voted else counts
