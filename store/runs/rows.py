"""A run as a row, and reading such rows; what happens to one is in `store.runs.lifecycle`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import psycopg
from psycopg.rows import class_row

ENDED = ("succeeded", "failed", "stopped", "lost")
COLUMNS = (
    "id::text AS id, use_case, kind, status, trigger, token, requested_at, started_at, heartbeat_at, "
    "finished_at, stop_requested, progress, result, error, flow_run_id, options, runner, dispatches"
)
CHANNEL = "ratchet_runs"
"""Notices of runs that wait for the worker, and of runs that have ended; they name the use case."""
LATEST = "ORDER BY status = 'queued' DESC, token DESC"
"""SQL: runs that wait, then the others, those that began last first.

A token is given to a run when it is asked for, and another when it begins. By times, what came before the
clock was set back would be the latest.
"""
_PLACE_IS_FREE = "NOT EXISTS (SELECT 1 FROM run r WHERE r.use_case = run.use_case AND r.status = 'running')"
Kind = Literal["retrain", "train"]
Runner = Literal["caller", "worker"]


@dataclass(frozen=True)
class Run:
    """One row of `run`."""

    id: str
    use_case: str
    kind: str
    status: str
    trigger: str
    token: int
    requested_at: datetime
    started_at: datetime | None
    heartbeat_at: datetime | None
    finished_at: datetime | None
    stop_requested: bool
    progress: dict[str, Any] | None
    result: dict[str, Any] | None
    error: str | None
    flow_run_id: str | None
    options: dict[str, Any]
    runner: str
    """Who starts it: the `caller` that asked for it, or the `worker`, whose dispatcher finds it."""
    dispatches: int
    """Times that the dispatcher has handed it to the orchestrator."""

    @property
    def seconds(self) -> float | None:
        """How long it worked; None while it does, or where it never began."""
        if self.started_at is None or self.finished_at is None:
            return None
        return round((self.finished_at - self.started_at).total_seconds(), 3)

    @property
    def row_counts(self) -> dict[str, int | None]:
        """Rows that it learned from and judged on; None is what is not known.

        Of the first those that production had not learned from: new labels, and rows held out for it.
        """
        result = self.result or {}
        newness = result.get("newness") or {}
        return {
            "train": result.get("train_rows"),
            "judged": result.get("holdout_rows"),
            "new": newness.get("new"),
            "returned": newness.get("returned"),
        }


def is_silent(conn: psycopg.Connection[Any], use_case: str, seconds: float) -> bool:
    """Whether a run is running whose holder has said nothing for so long."""
    row = conn.execute(
        "SELECT 1 FROM run WHERE use_case = %s AND status = 'running' "
        "AND heartbeat_at < now() - make_interval(secs => %s)",
        (use_case, seconds),
    ).fetchone()
    return row is not None


def running(conn: psycopg.Connection[Any], use_case: str) -> bool:
    """Whether a run of the use case is running."""
    row = conn.execute("SELECT 1 FROM run WHERE use_case = %s AND status = 'running'", (use_case,)).fetchone()
    return row is not None


def find_run(conn: psycopg.Connection[Any], run_id: str) -> Run | None:
    """The run with this id, if any; an id that is no UUID is simply unknown."""
    try:
        wanted = UUID(run_id)
    except ValueError:
        return None
    return _one(conn, "WHERE id = %s", (wanted,))


def active_run(conn: psycopg.Connection[Any], use_case: str) -> Run | None:
    """The run of the use case that is running, else the one that is queued."""
    return _one(
        conn,
        "WHERE use_case = %s AND status IN ('running', 'queued') ORDER BY status DESC, token LIMIT 1",
        (use_case,),
    )


def queued_run(conn: psycopg.Connection[Any], use_case: str) -> Run | None:
    """The run that waits to be started."""
    return _one(conn, "WHERE use_case = %s AND status = 'queued' ORDER BY token LIMIT 1", (use_case,))


def ended_run(conn: psycopg.Connection[Any], use_case: str) -> Run | None:
    """The run that ended last."""
    return _one(conn, f"WHERE use_case = %s AND finished_at IS NOT NULL {LATEST} LIMIT 1", (use_case,))


def running_run(conn: psycopg.Connection[Any], use_case: str) -> Run | None:
    """The run that holds the use case's place."""
    return _one(conn, "WHERE use_case = %s AND status = 'running'", (use_case,))


def last_run(conn: psycopg.Connection[Any], use_case: str) -> Run | None:
    """The run that was asked for last."""
    return _one(conn, f"WHERE use_case = %s {LATEST} LIMIT 1", (use_case,))


def recent_runs(conn: psycopg.Connection[Any], use_case: str, limit: int) -> list[Run]:
    """The runs that were asked for last, newest first."""
    return _read(conn, f"WHERE use_case = %s {LATEST} LIMIT %s", (use_case, limit))


def count_runs(conn: psycopg.Connection[Any], use_case: str) -> dict[str, int]:
    """How many runs have come to each end."""
    rows = conn.execute(
        "SELECT status, count(*) FROM run WHERE use_case = %s AND status = ANY(%s) GROUP BY status",
        (use_case, list(ENDED)),
    )
    return dict.fromkeys(ENDED, 0) | dict(rows.fetchall())


def waiting_runs(conn: psycopg.Connection[Any], use_cases: Sequence[str]) -> list[Run]:
    """Runs to hand over now: queued for the worker, with the place of their use case free; oldest first."""
    return _waiting_for_worker(conn, use_cases, f"flow_run_id IS NULL AND {_PLACE_IS_FREE}")


def dispatched_runs(conn: psycopg.Connection[Any], use_cases: Sequence[str]) -> list[Run]:
    """Runs that were handed over and have not begun."""
    return _waiting_for_worker(conn, use_cases, "flow_run_id IS NOT NULL")


def _waiting_for_worker(conn: psycopg.Connection[Any], use_cases: Sequence[str], condition: str) -> list[Run]:
    where = "WHERE status = 'queued' AND runner = 'worker' AND use_case = ANY(%s)"
    return _read(conn, f"{where} AND {condition} ORDER BY token", (list(use_cases),))


def _one(conn: psycopg.Connection[Any], where: str, parameters: tuple[Any, ...]) -> Run | None:
    return next(iter(_read(conn, where, parameters)), None)


def _read(conn: psycopg.Connection[Any], where: str, parameters: tuple[Any, ...]) -> list[Run]:
    with conn.cursor(row_factory=class_row(Run)) as cursor:
        return cursor.execute(f"SELECT {COLUMNS} FROM run {where}", parameters).fetchall()
