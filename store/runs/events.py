"""The history of a run's progress, as streams and logs read it."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

KEPT_DAYS = 7


def events_since(conn: psycopg.Connection[Any], run_id: str, seq: int = 0) -> list[dict[str, Any]]:
    """Progress of a run after event `seq`: rows of seq, at and payload, in order."""
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT seq, at, payload FROM run_event WHERE run_id = %s AND seq > %s ORDER BY seq",
            (run_id, seq),
        ).fetchall()


def prune_events(conn: psycopg.Connection[Any], use_case: str) -> int:
    """Delete the events of runs that ended more than a week ago, and return how many there were."""
    return conn.execute(
        "DELETE FROM run_event WHERE run_id IN (SELECT id FROM run WHERE use_case = %s "
        "AND finished_at < now() - make_interval(days => %s))",
        (use_case, KEPT_DAYS),
    ).rowcount
