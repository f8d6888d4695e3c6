"""Runs that were cut off, by a stop or a kill of what they ran in: each is asked for again, once.

Such a run is a row that is still `running` while nobody holds it. That row ends and the new one begins in one
transaction, so a second look, or a look by another worker, finds nothing left to ask for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from store.runs.lifecycle import GONE_SECONDS, HOLDER_IS_CONNECTED, MOST_LOST, count_anew
from store.runs.rows import CHANNEL, LATEST

CUT_OFF = "cut off: its process ended before it"
_ABANDONED = f"status = 'running' AND use_case = ANY(%(use_cases)s) AND NOT {HOLDER_IS_CONNECTED}"
# What `ratchet up` trains first it asks for by itself; and what was lost again and again would be once more.
_ASK_AGAIN = f"""
    WITH cut AS (
        UPDATE run SET status = CASE WHEN stop_requested THEN 'stopped' ELSE 'lost' END,
            finished_at = now(), error = '{CUT_OFF}'
        WHERE id IN (SELECT id FROM run WHERE {_ABANDONED}
            AND heartbeat_at < now() - make_interval(secs => %(gone)s) FOR UPDATE SKIP LOCKED)
        RETURNING id, use_case, kind, trigger, options, status
    )
    INSERT INTO run (use_case, kind, trigger, runner, options)
    SELECT use_case, kind, trigger, 'worker', options FROM cut
    WHERE status = 'lost' AND trigger <> 'first_model'
        AND NOT EXISTS (SELECT 1 FROM run AS other WHERE other.use_case = cut.use_case
            AND other.status = 'queued' AND other.kind = cut.kind)
        AND %(most)s > 1 + (SELECT count(*) FROM (
            SELECT status, error FROM run AS earlier
            WHERE earlier.use_case = cut.use_case AND earlier.id <> cut.id AND status <> 'queued'
            {LATEST} LIMIT %(most)s - 1
        ) AS before WHERE before.status = 'lost')
    RETURNING id::text, use_case
"""


def ask_again(
    conn: psycopg.Connection[Any], use_cases: Sequence[str], gone_seconds: float = GONE_SECONDS
) -> dict[str, str]:
    """End the runs that nobody holds any more and ask for them again; returns new id -> use case.

    A run that somebody had asked to stop is stopped. After `MOST_LOST` in a row none is asked for: whatever
    ends them would end the next one too.
    """
    parameters = {"use_cases": list(use_cases), "gone": gone_seconds, "most": MOST_LOST}
    with conn.transaction():
        count_anew(conn, use_cases)
        asked = dict(conn.execute(_ASK_AGAIN, parameters).fetchall())
        for use_case in set(asked.values()):
            conn.execute("SELECT pg_notify(%s, %s)", (CHANNEL, use_case))
    return asked


def has_abandoned(conn: psycopg.Connection[Any], use_cases: Sequence[str]) -> bool:
    """Whether a run is running that nobody holds now; its holder may still come back for some seconds."""
    row = conn.execute(f"SELECT 1 FROM run WHERE {_ABANDONED}", {"use_cases": list(use_cases)}).fetchone()
    return row is not None


def held_flow_runs(conn: psycopg.Connection[Any]) -> frozenset[str]:
    """What Prefect knows the runs by that a living process holds, wherever that is."""
    rows = conn.execute(
        "SELECT flow_run_id FROM run WHERE status = 'running' AND flow_run_id IS NOT NULL "
        f"AND {HOLDER_IS_CONNECTED}"
    ).fetchall()
    return frozenset(row[0] for row in rows)
