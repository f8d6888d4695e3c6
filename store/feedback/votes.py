"""What several sources say of one row: the label that most of them say stands, of a tie the newest.

Votes are kept of rows that more than one source labelled; of all others the row itself is the vote. A key
or door has one voice on a row, which its sources share. Sources that are held back have none. Votes on
another record than the newest one's, as when an account is judged anew, do not count.
"""

from __future__ import annotations

from typing import Any, LiteralString

import psycopg

from store.feedback.sources import counts_sql, held_sources

STAND = """
    INSERT INTO feedback_vote
        (use_case, identity, said_by, record, label, event_time, at, received_at, source)
    SELECT f.use_case, f.identity, coalesce(f.said_by, 'earlier'), f.record, f.label, f.event_time,
        coalesce(f.label_time, least(f.event_time, f.received_at)), f.received_at, f.source
    FROM (SELECT DISTINCT identity FROM changed_feedback WHERE voted) c
    JOIN feedback f ON f.use_case = (SELECT %(use_case)s) AND f.identity = c.identity
    WHERE NOT f.voted
    ON CONFLICT DO NOTHING"""
"""What stands is the vote of the one source that has spoken."""
MARK = """
    UPDATE feedback f SET voted = true FROM (SELECT DISTINCT identity FROM changed_feedback WHERE voted) c
    WHERE f.use_case = (SELECT %(use_case)s) AND f.identity = c.identity AND NOT f.voted"""
KEEP_REPLACED = """
    INSERT INTO feedback_correction (use_case, identity, seq, record, label, received_at, event_time)
    SELECT v.use_case, v.identity, nextval('feedback_seq'), v.record, v.label, v.received_at, v.event_time
    FROM changed_feedback c JOIN feedback_vote v ON v.use_case = (SELECT %(use_case)s)
        AND v.identity = c.identity AND v.said_by = c.said_by
    WHERE c.voted AND c.fate = 'corrected' AND NOT EXISTS (
        SELECT FROM feedback_correction k WHERE k.use_case = (SELECT %(use_case)s) AND k.identity = v.identity
            AND k.label = v.label AND k.record = v.record)"""
# Of a file without times nobody knows when a row was true: what was said before is as old as it was then.
# What is said now is no older than what others have said, also where the clock was set back since.
SAY = """
    INSERT INTO feedback_vote (use_case, identity, said_by, record, label, event_time, at, source)
    SELECT %(use_case)s, i.identity, i.said_by, i.record, i.label, i.event_time, coalesce(
            least(i.event_time, CASE WHEN i.event_time IS NOT NULL THEN now() END),
            CASE WHEN NOT %(told_now)s THEN (
                SELECT max(k.received_at) FROM feedback_correction k WHERE k.use_case = (SELECT %(use_case)s)
                    AND k.identity = i.identity AND k.label = i.label AND k.record = i.record) END,
            greatest(clock_timestamp(), (
                SELECT max(v.at) FROM feedback_vote v WHERE v.use_case = (SELECT %(use_case)s)
                    AND v.identity = i.identity))), %(source)s
    FROM changed_feedback c JOIN incoming_feedback i USING (identity, said_by)
    WHERE c.voted AND c.fate IN ('said', 'corrected')
    ON CONFLICT (use_case, identity, said_by) DO UPDATE SET record = excluded.record, label = excluded.label,
        event_time = coalesce(excluded.event_time, feedback_vote.event_time), at = excluded.at,
        seq = excluded.seq, received_at = now(), source = excluded.source"""
CONFIRM = """
    UPDATE feedback_vote v SET at = greatest(v.at, least(i.event_time, now()))
    FROM changed_feedback c JOIN incoming_feedback i USING (identity, said_by)
    WHERE c.voted AND c.fate = 'confirmed' AND i.event_time IS NOT NULL
        AND v.use_case = (SELECT %(use_case)s) AND v.identity = c.identity AND v.said_by = c.said_by"""
DECIDED = """
    CREATE TEMP TABLE IF NOT EXISTS decided_feedback (
        identity text, said_by text, record jsonb, label text, event_time timestamptz, at timestamptz,
        source text, changed boolean
    ) ON COMMIT DELETE ROWS"""
_WINNERS: LiteralString = """
    INSERT INTO decided_feedback (identity, said_by, record, label, event_time, at, source, changed)
    WITH counted AS (
        SELECT v.*, first_value(v.record) OVER (
            PARTITION BY v.identity ORDER BY v.at DESC, v.seq DESC) AS newest_record
        FROM feedback_vote v
        WHERE v.use_case = (SELECT %(use_case)s) AND {counts} AND v.identity IN ({identities})
    ), weighed AS (
        SELECT *, 1.0 / count(*) OVER (PARTITION BY identity, split_part(said_by, '/', 1)) AS weight
        FROM counted WHERE record = newest_record
    ), summed AS (
        SELECT *, round(sum(weight) OVER (PARTITION BY identity, label), 6) AS voices FROM weighed
    ), winners AS (
        SELECT DISTINCT ON (identity) * FROM summed ORDER BY identity, voices DESC, at DESC, seq DESC
    )
    SELECT w.identity, w.said_by, w.record, w.label, w.event_time, w.at, w.source,
        f.label <> w.label OR f.record <> w.record
    FROM winners w JOIN feedback f ON f.use_case = (SELECT %(use_case)s) AND f.identity = w.identity
    WHERE f.label <> w.label OR f.record <> w.record OR f.said_by IS DISTINCT FROM w.said_by
        OR f.label_time IS DISTINCT FROM w.at"""
_OF_CHANGED: LiteralString = "SELECT identity FROM changed_feedback WHERE voted"
_OF_SOURCES: LiteralString = (
    "SELECT identity FROM feedback_vote WHERE use_case = %(use_case)s "
    "AND (said_by = ANY(%(moved)s) OR split_part(said_by, '/', 1) = ANY(%(moved)s))"
)
_OF_NAMED: LiteralString = "SELECT unnest(%(identities)s::text[])"
_OF_GOING: LiteralString = "SELECT identity FROM going_label WHERE is_vote"
"""Rows of which some votes were taken back (`store.feedback.revisions.taking_back`)."""
_UNDECIDED: LiteralString = (
    _OF_GOING + " AND NOT EXISTS (SELECT FROM feedback f JOIN feedback_vote v ON v.use_case = f.use_case "
    "AND v.identity = f.identity AND v.said_by = f.said_by "
    "WHERE f.use_case = (SELECT %(use_case)s) AND f.identity = going_label.identity)"
)
KEEP_OVERRULED = """
    INSERT INTO feedback_correction (use_case, identity, seq, record, label, received_at, event_time,
        record_group)
    SELECT f.use_case, f.identity, f.seq, f.record, f.label, f.received_at, f.event_time, f.record_group
    FROM decided_feedback d JOIN feedback f ON f.use_case = (SELECT %(use_case)s) AND f.identity = d.identity
    WHERE d.changed"""
OVERRULE = """
    UPDATE feedback f SET record = d.record, label = d.label, said_by = d.said_by, label_time = d.at,
        event_time = coalesce(d.event_time, f.event_time),
        seq = CASE WHEN d.changed THEN nextval('feedback_seq') ELSE f.seq END,
        received_at = CASE WHEN d.changed THEN now() ELSE f.received_at END,
        source = CASE WHEN d.changed THEN d.source ELSE f.source END
    FROM decided_feedback d WHERE f.use_case = (SELECT %(use_case)s) AND f.identity = d.identity"""
# The first row of an identity whose label is another now has corrected it.
COUNT_VOTES = """
    SELECT coalesce(sum((place = 1 AND changed)::int), 0),
        coalesce(sum((NOT (place = 1 AND changed) AND differs AND is_older)::int), 0),
        coalesce(sum((NOT (place = 1 AND changed) AND differs AND NOT is_older)::int), 0)
    FROM (
        SELECT f.label <> i.label OR f.record <> i.record AS differs, coalesce(d.changed, false) AS changed,
            c.fate = 'stale' OR v.at < f.label_time AS is_older, row_number() OVER (PARTITION BY c.identity
                ORDER BY f.label = i.label AND f.record = i.record DESC, c.fate) AS place
        FROM changed_feedback c JOIN incoming_feedback i USING (identity, said_by)
        JOIN feedback f ON f.use_case = (SELECT %(use_case)s) AND f.identity = c.identity
        JOIN feedback_vote v ON v.use_case = (SELECT %(use_case)s) AND v.identity = c.identity
            AND v.said_by = c.said_by
        LEFT JOIN decided_feedback d ON d.identity = c.identity
        WHERE c.voted
    ) AS counted"""
KEEP_OUTVOTED = """
    INSERT INTO feedback_correction (use_case, identity, seq, record, label, received_at, event_time)
    SELECT DISTINCT ON (i.identity, i.label, i.record)
        %(use_case)s, i.identity, nextval('feedback_seq'), i.record, i.label, now(), i.event_time
    FROM changed_feedback c JOIN incoming_feedback i USING (identity, said_by)
    JOIN feedback f ON f.use_case = (SELECT %(use_case)s) AND f.identity = c.identity
    WHERE c.voted AND (f.label <> i.label OR f.record <> i.record) AND NOT EXISTS (
        SELECT FROM feedback_correction k WHERE k.use_case = (SELECT %(use_case)s) AND k.identity = i.identity
            AND k.label = i.label AND k.record = i.record)"""


def vote(cursor: psycopg.Cursor[Any], use_case: str, source: str, *, told_now: bool) -> dict[str, int]:
    """Take down what sources say in the rows of `changed_feedback` that are voted on, and decide those anew.

    Args:
        told_now: whether rows without an event time are told now.

    Returns:
        How many of the rows were `corrected`, `stale` or `outvoted`; the others say what stands.
    """
    parameters = {"use_case": use_case, "source": source, "told_now": told_now}
    for statement in (STAND, MARK, KEEP_REPLACED, SAY, CONFIRM):
        cursor.execute(statement, parameters)
    _decide(cursor, use_case, _OF_CHANGED, {"held": held_sources(cursor.connection, use_case)})
    corrected, stale, outvoted = cursor.execute(COUNT_VOTES, parameters).fetchone() or (0, 0, 0)
    cursor.execute(KEEP_OUTVOTED, parameters)
    return {"corrected": int(corrected), "stale": int(stale), "outvoted": int(outvoted)}


def decide_anew(cursor: psycopg.Cursor[Any], use_case: str, held: list[str], moved: list[str]) -> int:
    """Decide all rows that some sources have voted on, as those have been held back or released.

    Args:
        held: sources that have no voice.
        moved: sources, keys or doors that were held back or released.

    Returns:
        How many rows have another label or record now.
    """
    return _decide(cursor, use_case, _OF_SOURCES, {"held": held, "moved": moved})


def decide_rows(cursor: psycopg.Cursor[Any], use_case: str, identities: list[str]) -> None:
    """Decide rows anew, by what they are known by: what was said of them is another thing now."""
    held = held_sources(cursor.connection, use_case)
    _decide(cursor, use_case, _OF_NAMED, {"held": held, "identities": identities})


def decide_rest(cursor: psycopg.Cursor[Any], use_case: str, held: list[str]) -> None:
    """Decide anew the rows of `going_label` that are left, by the votes that are.

    Args:
        held: sources that have no voice. A row that only they have labelled has the label of one of them, as
            where all of its sources are held back, and counts as little.
    """
    _decide(cursor, use_case, _OF_GOING, {"held": held})
    _decide(cursor, use_case, _UNDECIDED, {"held": []})


def _decide(
    cursor: psycopg.Cursor[Any], use_case: str, identities: LiteralString, more: dict[str, Any]
) -> int:
    parameters = {"use_case": use_case, **more}
    cursor.execute(DECIDED)
    cursor.execute("DELETE FROM decided_feedback")  # of an earlier call in the caller's transaction
    query = _WINNERS.replace("{counts}", counts_sql("v.said_by")).replace("{identities}", identities)
    cursor.execute(query, parameters)
    cursor.execute(KEEP_OVERRULED, parameters)
    changed = cursor.rowcount
    cursor.execute(OVERRULE, parameters)
    return changed
