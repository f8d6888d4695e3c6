"""Runs: who may work on a use case, and how far the work is.

A run is a row before it is work. Starting it takes the one place that a use case has and gives
a fencing token; whoever holds the token renews a heartbeat, and asks `hold` inside the
transaction that makes its result count. A holder that falls silent is marked lost, and its token
is worth nothing from then on: after a minute in any case, and after seconds when the connection
on which it showed its life is gone too, as it is at once when the process is killed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import orjson
import psycopg
from psycopg.rows import class_row

from store.errors import Fenced, RunBusy, RunNotFound

STALE_SECONDS = 60.0
GONE_SECONDS = 4.0
_LIFE_KEY = "hashtextextended('alive:' || id::text, 0)"
# PostgreSQL shows a 64-bit advisory key as two halves.
_HOLDER_IS_CONNECTED = (
    "EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    f"AND (classid::bigint << 32) | objid::bigint = {_LIFE_KEY})"
)
ENDED = ("succeeded", "failed", "stopped", "lost")
COLUMNS = (
    "id::text AS id, use_case, kind, status, trigger, token, requested_at, started_at, heartbeat_at, "
    "finished_at, stop_requested, progress, result, error, flow_run_id, options, runner, dispatches"
)
CHANNEL = "ratchet_runs"
"""Notices of runs that wait for the worker, and of runs that have ended; they name the use case."""
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


def start_run(conn: psycopg.Connection[Any], run_id: str, flow_run_id: str | None = None) -> int:
    """Begin a queued run and return the token of its holder.

    Raises:
        RunBusy: another run of the use case holds the place.
        RunNotFound: the run is not queued (unknown, stopped meanwhile, or started by another).
    """
    run = find_run(conn, run_id)
    if run is None or run.status != "queued":
        raise RunNotFound(run_id, "queued")
    with conn.transaction():
        mark_lost(conn, run.use_case)
        try:
            with conn.transaction():
                row = conn.execute(
                    "UPDATE run SET status = 'running', token = nextval('run_token'), started_at = now(), "
                    "heartbeat_at = now(), flow_run_id = %s "
                    "WHERE id = %s AND status = 'queued' RETURNING token",
                    (flow_run_id, run_id),
                ).fetchone()
        except psycopg.errors.UniqueViolation:
            holder = running_run(conn, run.use_case)
            raise RunBusy(run.use_case, holder.id if holder else "that has just ended") from None
    if row is None:
        raise RunNotFound(run_id, "queued")
    return int(row[0])


def show_life(conn: psycopg.Connection[Any], run_id: str) -> None:
    """Mark this connection as the holder's; others can tell when it is gone."""
    conn.execute("SELECT pg_advisory_lock(hashtextextended('alive:' || %s::uuid::text, 0))", (run_id,))


def heartbeat(conn: psycopg.Connection[Any], run_id: str, token: int) -> bool:
    """Say that the holder is alive, and return whether it is asked to stop.

    Raises:
        Fenced: the caller is no longer the holder.
    """
    with conn.transaction():
        row = conn.execute(
            "UPDATE run SET heartbeat_at = now() WHERE id = %s AND token = %s AND status = 'running' "
            "RETURNING stop_requested",
            (run_id, token),
        ).fetchone()
    if row is None:
        raise Fenced(run_id, token)
    return bool(row[0])


def progress(conn: psycopg.Connection[Any], run_id: str, token: int, payload: Mapping[str, Any]) -> bool:
    """Write down how far the work is (also a heartbeat), and return whether it is asked to stop.

    Raises:
        Fenced: the caller is no longer the holder.
    """
    text = orjson.dumps(payload, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    with conn.transaction():
        row = conn.execute(
            "UPDATE run SET heartbeat_at = now(), progress = %s::jsonb "
            "WHERE id = %s AND token = %s AND status = 'running' RETURNING stop_requested",
            (text, run_id, token),
        ).fetchone()
        if row is None:
            raise Fenced(run_id, token)
        conn.execute("INSERT INTO run_event (run_id, payload) VALUES (%s, %s::jsonb)", (run_id, text))
    return bool(row[0])


def hold(conn: psycopg.Connection[Any], run_id: str, token: int) -> None:
    """Make sure, until the caller's transaction ends, that nobody takes the run over.

    Raises:
        Fenced: the caller is no longer the holder.
    """
    row = conn.execute(
        "SELECT 1 FROM run WHERE id = %s AND token = %s AND status = 'running' FOR UPDATE", (run_id, token)
    ).fetchone()
    if row is None:
        raise Fenced(run_id, token)


def finish_run(
    conn: psycopg.Connection[Any],
    run_id: str,
    token: int,
    status: str,
    result: Mapping[str, Any] | None = None,
    error: str | None = None,
) -> None:
    """End a run with `succeeded`, `failed` or `stopped`.

    Raises:
        Fenced: the caller is no longer the holder.
    """
    text = None if result is None else orjson.dumps(result, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    with conn.transaction():
        done = conn.execute(
            "UPDATE run SET status = %s, result = %s::jsonb, error = %s, finished_at = now() "
            "WHERE id = %s AND token = %s AND status = 'running'",
            (status, text, error, run_id, token),
        )
        if done.rowcount == 0:
            raise Fenced(run_id, token)
        conn.execute("SELECT pg_notify(%s, use_case) FROM run WHERE id = %s", (CHANNEL, run_id))


def stop_requested(conn: psycopg.Connection[Any], run_id: str) -> bool:
    """Whether the run is asked to stop."""
    run = find_run(conn, run_id)
    return run is not None and run.stop_requested


def mark_lost(
    conn: psycopg.Connection[Any], use_case: str, stale_seconds: float = STALE_SECONDS
) -> list[str]:
    """Mark the running run lost whose holder has been silent too long, and return its id.

    A queued one whose caller should long have begun it is lost too.
    """
    with conn.transaction():
        rows = conn.execute(
            "UPDATE run SET status = 'lost', finished_at = now(), error = 'its process fell silent' "
            "WHERE use_case = %s AND status = 'running' AND ("
            "heartbeat_at < now() - make_interval(secs => %s) OR ("
            f"heartbeat_at < now() - make_interval(secs => %s) AND NOT {_HOLDER_IS_CONNECTED})) "
            "RETURNING id::text",
            (use_case, stale_seconds, GONE_SECONDS),
        ).fetchall()
        conn.execute(
            "UPDATE run SET status = 'lost', finished_at = now(), error = 'its process never began it' "
            "WHERE use_case = %s AND status = 'queued' AND runner = 'caller' "
            "AND requested_at < now() - make_interval(secs => %s)",
            (use_case, stale_seconds),
        )
    return [str(row[0]) for row in rows]


def is_silent(conn: psycopg.Connection[Any], use_case: str, seconds: float) -> bool:
    """Whether a run is running whose holder has said nothing for so long."""
    row = conn.execute(
        "SELECT 1 FROM run WHERE use_case = %s AND status = 'running' "
        "AND heartbeat_at < now() - make_interval(secs => %s)",
        (use_case, seconds),
    ).fetchone()
    return row is not None


def find_run(conn: psycopg.Connection[Any], run_id: str) -> Run | None:
    """The run with this id, if any; an id that is no UUID is simply unknown."""
    try:
        UUID(run_id)
    except ValueError:
        return None
    return _one(conn, "WHERE id = %s", (run_id,))


def active_run(conn: psycopg.Connection[Any], use_case: str) -> Run | None:
    """The run of the use case that is running, else the one that is queued."""
    return _one(
        conn,
        "WHERE use_case = %s AND status IN ('running', 'queued') ORDER BY status DESC, requested_at LIMIT 1",
        (use_case,),
    )


def queued_run(conn: psycopg.Connection[Any], use_case: str) -> Run | None:
    """The run that waits to be started."""
    return _one(conn, "WHERE use_case = %s AND status = 'queued' ORDER BY requested_at LIMIT 1", (use_case,))


def ended_run(conn: psycopg.Connection[Any], use_case: str) -> Run | None:
    """The run that ended last."""
    return _one(
        conn, "WHERE use_case = %s AND finished_at IS NOT NULL ORDER BY finished_at DESC LIMIT 1", (use_case,)
    )


def running_run(conn: psycopg.Connection[Any], use_case: str) -> Run | None:
    """The run that holds the use case's place."""
    return _one(conn, "WHERE use_case = %s AND status = 'running'", (use_case,))


def last_run(conn: psycopg.Connection[Any], use_case: str) -> Run | None:
    """The run that was asked for last."""
    return _one(conn, "WHERE use_case = %s ORDER BY requested_at DESC, token DESC LIMIT 1", (use_case,))


def recent_runs(conn: psycopg.Connection[Any], use_case: str, limit: int) -> list[Run]:
    """The runs that were asked for last, newest first."""
    with conn.cursor(row_factory=class_row(Run)) as cursor:
        return cursor.execute(
            f"SELECT {COLUMNS} FROM run WHERE use_case = %s ORDER BY requested_at DESC, token DESC LIMIT %s",
            (use_case, limit),
        ).fetchall()


def count_runs(conn: psycopg.Connection[Any], use_case: str) -> dict[str, int]:
    """How many runs have come to each end."""
    rows = conn.execute(
        "SELECT status, count(*) FROM run WHERE use_case = %s AND status = ANY(%s) GROUP BY status",
        (use_case, list(ENDED)),
    )
    return dict.fromkeys(ENDED, 0) | dict(rows.fetchall())


def notify(conn: psycopg.Connection[Any], use_case: str) -> None:
    """Tell the dispatcher to look at the runs of a use case."""
    conn.execute("SELECT pg_notify(%s, %s)", (CHANNEL, use_case))


def _one(conn: psycopg.Connection[Any], where: str, parameters: tuple[Any, ...]) -> Run | None:
    with conn.cursor(row_factory=class_row(Run)) as cursor:
        return cursor.execute(f"SELECT {COLUMNS} FROM run {where}", parameters).fetchone()
