"""Asking for a run, and asking one to stop: rows that others act on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from store.errors import NothingRunning, RunBusy, RunNotFound
from store.runs.rows import Kind, Runner, active_run, mark_lost, notify, queued_run

MOST_LOST = 3
"""Trainings in a row that may be lost before none is asked for by itself."""


def request_run(
    conn: psycopg.Connection[Any],
    use_case: str,
    kind: Kind,
    trigger: str,
    *,
    runner: Runner = "caller",
    options: Mapping[str, Any] | None = None,
) -> str:
    """Write down that a run is wanted, and return its id.

    Raises:
        RunBusy: one of the same use case is queued or running already.
    """
    with conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('run:' || %s, 0))", (use_case,))
        mark_lost(conn, use_case)
        if active := active_run(conn, use_case):
            raise RunBusy(use_case, active.id)
        return _insert(conn, use_case, kind, trigger, runner, options or {})


def request_training(conn: psycopg.Connection[Any], use_case: str, trigger: str) -> str:
    """Write down that the worker is to learn from labels just stored, and return the id of the run.

    A run that is still queued will see them and is taken; behind one that is running, a new one waits.
    """
    with conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('run:' || %s, 0))", (use_case,))
        mark_lost(conn, use_case)
        if waiting := queued_run(conn, use_case):
            return waiting.id
        return _insert(conn, use_case, "train", trigger, "worker", {})


def repeat_lost_training(conn: psycopg.Connection[Any], use_case: str) -> str | None:
    """Ask once more for a training whose process was lost, and return the new id: it was promised.

    None: the last run is something else, or the last three were lost trainings, and a fourth would be too.
    """
    with conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('run:' || %s, 0))", (use_case,))
        last = conn.execute(
            "SELECT kind = 'train' AND status = 'lost' AND runner = 'worker', trigger FROM run "
            "WHERE use_case = %s ORDER BY requested_at DESC, id LIMIT %s",
            (use_case, MOST_LOST),
        ).fetchall()
        if not last or not last[0][0] or (len(last) == MOST_LOST and all(lost for lost, _ in last)):
            return None
        return _insert(conn, use_case, "train", last[0][1], "worker", {})


def _insert(
    conn: psycopg.Connection[Any],
    use_case: str,
    kind: Kind,
    trigger: str,
    runner: Runner,
    options: Mapping[str, Any],
) -> str:
    """Append a queued row, whatever else is under way; the dispatcher hears of it when the caller commits."""
    row = conn.execute(
        "INSERT INTO run (use_case, kind, trigger, runner, options) VALUES (%s, %s, %s, %s, %s) "
        "RETURNING id::text",
        (use_case, kind, trigger, runner, Jsonb(dict(options))),
    ).fetchone()
    assert row is not None
    if runner == "worker":
        notify(conn, use_case)
    return str(row[0])


def request_stop(conn: psycopg.Connection[Any], run_id: str) -> str:
    """Ask a run to stop, and return its status: a queued one is `stopped` at once, a running one soon.

    Raises:
        RunNotFound: there is no such run.
    """
    with conn.transaction():
        row = conn.execute(
            "UPDATE run SET stop_requested = stop_requested OR status IN ('queued', 'running'), "
            "finished_at = CASE WHEN status = 'queued' THEN now() ELSE finished_at END, "
            "status = CASE WHEN status = 'queued' THEN 'stopped' ELSE status END "
            "WHERE id::text = %s RETURNING status",
            (run_id,),
        ).fetchone()
    if row is None:
        raise RunNotFound(run_id)
    return str(row[0])


def stop_active(conn: psycopg.Connection[Any], use_case: str) -> tuple[str, str]:
    """Ask the active run of a use case to stop: returns its id, and `stopped` or, for a while, `stopping`.

    Raises:
        NothingRunning: nothing is queued or running.
    """
    run = active_run(conn, use_case)
    if run is None:
        raise NothingRunning(use_case)
    status = request_stop(conn, run.id)
    return run.id, "stopping" if status == "running" else status
