"""Notifications as rows: one for each event and address, written before it is sent.

They are made from rows of the ledger, runs, drift checks, sources, probations and shadow versions, each at
most once, however often that is tried; so a restart neither loses one nor sends it twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import psycopg
from psycopg.rows import class_row

from store.predictions.shadow_answers import GIVEN_UP

MOST_ATTEMPTS = 6
FIRST_WAIT_SECONDS = 10.0
"""Before the second attempt; each later wait is twice as long."""
MOST_AGE_DAYS = 7
"""Older events, from a time without a worker, are not notified."""
KEPT_DAYS = 30


@dataclass(frozen=True)
class NoticeEvent:
    """An event of a use case that may be notified."""

    source: str
    """The row that it was read from, as `<table>:<id>`."""
    event: str
    kind: str
    """The event or status in that row."""
    at: datetime
    actor: str
    from_version: int | None
    to_version: int | None
    reason: str


@dataclass(frozen=True)
class Notice:
    """A notification to one address."""

    id: int
    use_case: str
    event: str
    target: str
    title: str
    body: str
    happened_at: datetime
    attempts: int


SELECT_EVENTS = """
    WITH happened AS (
        SELECT 'ledger:' || id AS source, event AS kind, at, actor, from_version, to_version, reason,
            CASE WHEN event IN ('rejected', 'too_little_evidence', 'held_back') THEN 'rejected'
                WHEN event IN ('refused', 'failed') THEN 'failed'
                WHEN event = 'canary_ended' THEN 'canary' ELSE event END AS event
        FROM ledger WHERE use_case = %(use_case)s AND event IN
            ('promoted', 'rolled_back', 'rejected', 'too_little_evidence', 'held_back', 'refused', 'failed',
                'canary', 'canary_ended')
        UNION ALL
        SELECT 'run:' || id, status, finished_at, trigger, NULL, NULL, coalesce(error, ''), 'failed'
        FROM run WHERE use_case = %(use_case)s AND status IN ('failed', 'lost')
        UNION ALL
        SELECT 'drift:' || id, verdict, at, '', NULL, model_version, coalesce(report->>'reason', ''), 'drift'
        FROM (
            SELECT *, lag(verdict) OVER (ORDER BY id) AS before FROM drift_check
            WHERE use_case = %(use_case)s AND verdict <> 'too_little_evidence'
        ) AS checked WHERE verdict = 'drift' AND before IS DISTINCT FROM 'drift'
        UNION ALL
        SELECT 'source:' || use_case || ':' || name || ':' || extract(epoch FROM held_since), 'source',
            held_since, '', NULL, NULL, format('source %%L %%s', name, reason), 'source'
        FROM label_source WHERE use_case = %(use_case)s AND held_since IS NOT NULL
        UNION ALL
        SELECT format('probation:%%s:%%s', move, seen.evidence->>'verdict'),
            CASE WHEN ledger.event = 'canary' THEN 'canary_held' ELSE 'probation' END, looked_at, '',
            (seen.evidence->>'before')::int, (seen.evidence->>'version')::int, seen.evidence->>'sentence',
            CASE WHEN ledger.event = 'canary' THEN 'canary' ELSE 'probation' END
        FROM probation AS seen LEFT JOIN ledger ON ledger.id = move
        WHERE seen.use_case = %(use_case)s AND seen.evidence->>'verdict' IN ('worse', 'held')
        UNION ALL
        SELECT format('shadow:%%s:%%s', use_case, version), 'shadow', changed_at, '', NULL, version,
            CASE state WHEN 'broken' THEN 'it cannot answer' WHEN 'hangs' THEN 'it hangs'
                ELSE 'it ended its process' END || ': ' || coalesce(why, ''), 'shadow'
        FROM shadow_standing
        WHERE use_case = %(use_case)s AND version IS NOT NULL AND state = ANY(%(given_up)s)
    )
    SELECT source, event, kind, at, actor, from_version, to_version, reason FROM happened
    WHERE event = ANY(%(events)s)
        AND at > (SELECT greatest(at, now() - make_interval(days => %(days)s)) FROM notice_start
            WHERE use_case = %(use_case)s)
        AND NOT EXISTS (SELECT 1 FROM notice WHERE notice.source = happened.source AND target = %(target)s)
    ORDER BY at"""


def begin_notices(
    conn: psycopg.Connection[Any], use_cases: Iterable[str], silent: Iterable[str] = ()
) -> None:
    """Begin to notify events of these use cases, from now on.

    Args:
        silent: use cases of which none are wanted any more; all others are those of other workers.
    """
    names = sorted(use_cases)
    with conn.transaction():
        conn.execute("DELETE FROM notice_start WHERE use_case = ANY(%s)", (sorted(silent),))
        conn.execute(
            "INSERT INTO notice_start (use_case) SELECT unnest(%s::text[]) ON CONFLICT DO NOTHING", (names,)
        )
        conn.execute("DELETE FROM notice WHERE happened_at < now() - make_interval(days => %s)", (KEPT_DAYS,))


def begin_again_ahead(conn: psycopg.Connection[Any]) -> None:
    """Have notices that begin ahead of the clock, which was set back since, begin a minute ago.

    Else nothing that happens is told until it has caught up. What happened before somebody looks is told too.
    """
    conn.execute("UPDATE notice_start SET at = now() - interval '1 minute' WHERE at > now()")


def events_without_notice(
    conn: psycopg.Connection[Any], use_case: str, target: str, events: Sequence[str]
) -> list[NoticeEvent]:
    """Events that this target has no notice of, oldest first.

    Drift that lasts is one event: when a check finds it and the one before did not. So is a shadow version
    that is given up, also where a person has it asked again and it is given up again.
    """
    parameters = {
        "use_case": use_case,
        "target": target,
        "events": list(events),
        "days": MOST_AGE_DAYS,
        "given_up": list(GIVEN_UP),
    }
    with conn.cursor(row_factory=class_row(NoticeEvent)) as cursor:
        return cursor.execute(SELECT_EVENTS, parameters).fetchall()


def is_since_start(conn: psycopg.Connection[Any], use_case: str, at: datetime) -> bool:
    """Whether notices of a use case had begun by then, and it is not too long ago to be told."""
    row = conn.execute(
        "SELECT 1 FROM notice_start WHERE use_case = %s "
        "AND %s > greatest(at, now() - make_interval(days => %s))",
        (use_case, at, MOST_AGE_DAYS),
    ).fetchone()
    return row is not None


def add_notice(
    conn: psycopg.Connection[Any],
    use_case: str,
    target: str,
    notice_event: NoticeEvent,
    title: str,
    body: str,
) -> None:
    """Store a notice of an event for a target; once, whoever else does the same."""
    conn.execute(
        "INSERT INTO notice (use_case, event, source, target, title, body, happened_at) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (use_case, notice_event.event, notice_event.source, target, title, body, notice_event.at),
    )


def deliver_next(
    conn: psycopg.Connection[Any], targets: Sequence[str], send: Callable[[Notice], bool]
) -> tuple[Notice, Literal["sent", "due", "given_up"]] | None:
    """Send the oldest notice that is due, and write down what came of it; None: none is due.

    One that is due later than any is asked to wait is of before the clock was set back.

    The row is locked meanwhile: no other process sends it too, and one that is killed lets go of it.

    Returns:
        The notice, and whether it was sent, is due again later, or was given up.
    """
    with conn.transaction(), conn.cursor(row_factory=class_row(Notice)) as cursor:
        notice = cursor.execute(
            "SELECT id, use_case, event, target, title, body, happened_at, attempts FROM notice "
            "WHERE state = 'due' AND target = ANY(%s) "
            "AND (due_at <= now() OR due_at > now() + make_interval(secs => %s)) "
            "ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED",
            (list(targets), FIRST_WAIT_SECONDS * 2**MOST_ATTEMPTS),
        ).fetchone()
        if notice is None:
            return None
        state: Literal["sent", "due", "given_up"] = "sent" if send(notice) else "due"
        if state == "due" and notice.attempts + 1 >= MOST_ATTEMPTS:
            state = "given_up"
        conn.execute(
            "UPDATE notice SET state = %s, attempts = attempts + 1, "
            "due_at = clock_timestamp() + make_interval(secs => %s), "
            "ended_at = CASE WHEN %s = 'due' THEN NULL ELSE clock_timestamp() END WHERE id = %s",
            (state, FIRST_WAIT_SECONDS * 2**notice.attempts, state, notice.id),
        )
    return notice, state
