"""The life of a run's row, in order: asked for, handed over, begun, beating, held, ended.

A run is a row before it is work. It stays `queued` until the flow itself begins it, so nothing is lost when
the dispatcher or the orchestrator goes away in between: `flow_run_id` says that it was handed over,
`dispatches` how often. Starting it takes the one place that a use case has and gives a fencing token;
whoever holds the token renews a heartbeat, and asks `hold` inside the transaction that makes its result
count. A holder that falls silent is marked lost, and its token is worth nothing from then on: after a minute
in any case, and after seconds when the connection on which it showed its life is gone too, as it is at once
when the process is killed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import orjson
import psycopg
from psycopg.types.json import Jsonb

from store.database.locks import HELD_KEYS, key_sql, lock_transaction
from store.database.sessions import keep_lock
from store.errors import Fenced, NothingRunning, RunBusy, RunNotFound
from store.runs.rows import CHANNEL, LATEST, Kind, Run, Runner, active_run, find_run, running_run

STALE_SECONDS = 60.0
GONE_SECONDS = 4.0
HOLDER_IS_CONNECTED = f"{key_sql('alive', 'id::text')} IN ({HELD_KEYS})"
BACK_SECONDS = 3.0
"""In which a holder beats again that has lost the database, once that answers."""
MOST_LOST = 3
"""Runs in a row that may be lost before none is asked for by itself."""
REPEATED_SECONDS = 600.0
"""So long after a retrain was found lost it is asked for again."""

# By the time of the statement: a beat that comes while somebody looks is one.
_SILENT = (
    "use_case = %(use_case)s AND status = 'running' AND ("
    "heartbeat_at < clock_timestamp() - make_interval(secs => %(stale)s) OR ("
    "heartbeat_at < clock_timestamp() - make_interval(secs => %(gone)s) AND NOT "
    f"{HOLDER_IS_CONNECTED}))"
)


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
    with _asking(conn, use_case):
        if active := active_run(conn, use_case):
            raise RunBusy(use_case, active.id)
        return _insert(conn, use_case, kind, trigger, runner, options or {})


def request_training(conn: psycopg.Connection[Any], use_case: str, trigger: str) -> str:
    """Write down that the worker is to learn from labels just stored, and return the id of the run.

    A run that the worker has still to begin will see them and is taken: it begins only when the caller's
    transaction, by which they are stored, has ended. Behind one that is running, or that a command has asked
    for and may never begin, a new one waits.
    """
    with _asking(conn, use_case):
        waiting = conn.execute(
            "SELECT id::text FROM run WHERE use_case = %s AND status = 'queued' AND runner = 'worker'"
            " ORDER BY token LIMIT 1 FOR SHARE",
            (use_case,),
        ).fetchone()
        if waiting is not None:
            return str(waiting[0])
        return _insert(conn, use_case, "train", trigger, "worker", {})


def repeat_lost(conn: psycopg.Connection[Any], use_case: str) -> str | None:
    """Ask once more for a run of the worker that was lost, and return the new id: it was promised.

    None: the last run is something else, or was to stop, or the last three were lost, and a fourth would be
    too. First models are asked for by what starts the servers. A retrain that was lost a while ago, as with
    no worker to see it, is left to what makes the next one due.
    """
    with _asking(conn, use_case):
        last = conn.execute(
            "SELECT status = 'lost', runner = 'worker' AND trigger <> 'first_model' AND NOT stop_requested "
            "AND (kind = 'train' OR finished_at > now() - make_interval(secs => %s)), kind, trigger, options "
            f"FROM run WHERE use_case = %s {LATEST} LIMIT %s",
            (REPEATED_SECONDS, use_case, MOST_LOST),
        ).fetchall()
        if not last or not (last[0][0] and last[0][1]):
            return None
        if len(last) == MOST_LOST and all(lost for lost, *_ in last):
            return None
        _, _, kind, trigger, options = last[0]
        return _insert(conn, use_case, kind, trigger, "worker", options)


@contextmanager
def _asking(conn: psycopg.Connection[Any], use_case: str) -> Iterator[None]:
    """A transaction in which nobody else asks, and in which a run whose process is gone is not active."""
    with conn.transaction():
        lock_transaction(conn, "run", use_case)
        mark_lost(conn, use_case)
        yield


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


def show_life(conn: psycopg.Connection[Any], run_id: str) -> psycopg.Connection[Any]:
    """Mark a connection as the holder's, and return it; others can tell when it is gone.

    That is `conn`, or behind a pooler one beside it (`store.database.sessions.keep_lock`).
    """
    return keep_lock(conn, "alive", str(UUID(run_id)))


def heartbeat(
    conn: psycopg.Connection[Any], run_id: str, token: int, progress: Mapping[str, Any] | None = None
) -> bool:
    """Say that the holder is alive and, if it is new, how far it is; returns whether it is asked to stop.

    Raises:
        Fenced: the caller is no longer the holder.
    """
    text = _json(progress)
    with conn.transaction():
        row = conn.execute(
            "UPDATE run SET heartbeat_at = now(), progress = coalesce(%s::jsonb, progress) "
            "WHERE id = %s AND token = %s AND status = 'running' RETURNING stop_requested",
            (text, run_id, token),
        ).fetchone()
        if row is None:
            raise Fenced(run_id, token)
        if text is not None:
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
    with conn.transaction():
        ended = conn.execute(
            "UPDATE run SET status = %s, result = %s::jsonb, error = %s, finished_at = now() "
            "WHERE id = %s AND token = %s AND status = 'running'",
            (status, _json(result), error, run_id, token),
        )
        if ended.rowcount == 0:
            raise Fenced(run_id, token)
        conn.execute("SELECT pg_notify(%s, use_case) FROM run WHERE id = %s", (CHANNEL, run_id))


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


def count_anew(conn: psycopg.Connection[Any], use_cases: Sequence[str]) -> None:
    """Have beats and requests that lie ahead count as of now: they are of before the clock was set back.

    How old they are nobody knows; who is gone is found silent from now on, not once the clock has caught up.
    """
    conn.execute(
        "UPDATE run SET heartbeat_at = least(heartbeat_at, clock_timestamp()), "
        "requested_at = CASE WHEN status = 'queued' THEN least(requested_at, clock_timestamp()) "
        "ELSE requested_at END WHERE use_case = ANY(%s) AND (status = 'running' "
        "AND heartbeat_at > clock_timestamp() OR status = 'queued' AND requested_at > clock_timestamp())",
        (list(use_cases),),
    )


def mark_lost(
    conn: psycopg.Connection[Any], use_case: str, stale_seconds: float = STALE_SECONDS
) -> list[str]:
    """Mark the running run lost whose holder has been silent too long, and return its id.

    Its holder is given a moment to be heard again: where the database or a pooler before it was away, who
    asks may be the first to be back. A queued run whose caller should long have begun it is lost too.
    """
    silent = {"use_case": use_case, "stale": stale_seconds, "gone": GONE_SECONDS}
    with conn.transaction():
        count_anew(conn, [use_case])
        if conn.execute(f"SELECT FROM run WHERE {_SILENT}", silent).fetchone() is not None:
            time.sleep(BACK_SECONDS)
        rows = conn.execute(
            "UPDATE run SET status = 'lost', finished_at = now(), error = 'its process fell silent' "
            f"WHERE {_SILENT} RETURNING id::text",
            silent,
        ).fetchall()
        conn.execute(
            "UPDATE run SET status = 'lost', finished_at = now(), error = 'its process never began it' "
            "WHERE use_case = %s AND status = 'queued' AND runner = 'caller' "
            "AND requested_at < now() - make_interval(secs => %s)",
            (use_case, stale_seconds),
        )
    return [str(row[0]) for row in rows]


def notify(conn: psycopg.Connection[Any], use_case: str) -> None:
    """Tell the dispatcher to look at the runs of a use case."""
    conn.execute("SELECT pg_notify(%s, %s)", (CHANNEL, use_case))


def _json(document: Mapping[str, Any] | None) -> str | None:
    return None if document is None else orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY).decode()
