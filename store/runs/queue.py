"""Runs that wait for the worker: what its dispatcher finds, hands over, and settles.

A row stays `queued` until the flow itself begins it, so nothing is lost when the dispatcher or the
orchestrator goes away in between: `flow_run_id` says that it was handed over, `dispatches` how often.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.rows import class_row

from store.runs.rows import COLUMNS, Run, notify

_FREE = "NOT EXISTS (SELECT 1 FROM run r WHERE r.use_case = run.use_case AND r.status = 'running')"


def waiting_runs(conn: psycopg.Connection[Any], use_cases: Sequence[str]) -> list[Run]:
    """Runs to hand over now: queued for the worker, with the place of their use case free; oldest first."""
    return _read(conn, f"flow_run_id IS NULL AND {_FREE}", use_cases)


def dispatched_runs(conn: psycopg.Connection[Any], use_cases: Sequence[str]) -> list[Run]:
    """Runs that were handed over and have not begun."""
    return _read(conn, "flow_run_id IS NOT NULL", use_cases)


def mark_dispatched(conn: psycopg.Connection[Any], run_id: str, flow_run_id: str) -> None:
    """Write down that a run was handed over."""
    conn.execute(
        "UPDATE run SET flow_run_id = %s, dispatches = dispatches + 1 "
        "WHERE id = %s AND status = 'queued' AND flow_run_id IS NULL",
        (flow_run_id, run_id),
    )


def requeue(conn: psycopg.Connection[Any], run: Run) -> None:
    """Let a run be handed over again: its flow run came to nothing because the place was taken."""
    conn.execute(
        "UPDATE run SET flow_run_id = NULL WHERE id = %s AND status = 'queued' AND flow_run_id = %s",
        (run.id, run.flow_run_id),
    )


def give_up(conn: psycopg.Connection[Any], run: Run, status: str, reason: str) -> None:
    """End a run, as `failed` or `stopped`, whose flow run ended before it began."""
    conn.execute(
        "UPDATE run SET status = %s, error = %s, finished_at = now() "
        "WHERE id = %s AND status = 'queued' AND flow_run_id = %s",
        (status, reason, run.id, run.flow_run_id),
    )
    notify(conn, run.use_case)


def _read(conn: psycopg.Connection[Any], condition: str, use_cases: Sequence[str]) -> list[Run]:
    with conn.cursor(row_factory=class_row(Run)) as cursor:
        return cursor.execute(
            f"SELECT {COLUMNS} FROM run WHERE status = 'queued' AND runner = 'worker' "
            f"AND use_case = ANY(%s) AND {condition} ORDER BY requested_at",
            (list(use_cases),),
        ).fetchall()
