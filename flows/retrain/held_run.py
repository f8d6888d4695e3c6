"""Holding a run: the one retrain that a use case has at a time, seen and stopped from any process.

The run row in PostgreSQL is the truth. While it is held a thread beats its heart, writes progress
and reads the stop flag, so that training never waits for the database.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from configs.run_options import RunOptions
from flows.servers.environment import MARK_SERVER
from models.errors import TrainingStopped
from store.database.connection import closed_on_error, connect
from store.database.faults import FAULTS
from store.database.sessions import is_kept
from store.errors import Fenced
from store.runs import lifecycle
from store.runs.lifecycle import request_run
from store.runs.rows import Kind, find_run, is_silent, queued_run

BEAT_SECONDS = 1.0
FINISH_SECONDS = 60.0
"""So long a run that has ended waits for a database that is away, to say so."""
Progress = Mapping[str, Any]
OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class Life:
    """How others see that the holder of a run is there."""

    beats: psycopg.Connection[Any]
    shown: psycopg.Connection[Any]
    """Ends with the process. The same, but behind a pooler."""

    def lasts(self) -> bool:
        """Whether both connections are there."""
        return not self.beats.closed and (self.shown is self.beats or is_kept(self.shown))

    def close(self) -> None:
        """End both."""
        self.beats.close()
        self.shown.close()


@dataclass
class HeldRun:
    """A run that this process holds; `token` fences it off from one that was taken for dead."""

    run_id: str
    token: int
    database_url: str
    on_progress: OnProgress
    stop: threading.Event = field(default_factory=threading.Event)
    lost: threading.Event = field(default_factory=threading.Event)
    kind: str = "retrain"
    options: RunOptions = field(default_factory=RunOptions)
    result: dict[str, Any] = field(default_factory=dict)
    life: Life | None = None
    compute: str | None = None
    """Where challengers are being made; told with all that is said meanwhile."""
    _latest: Progress | None = None
    _done: threading.Event = field(default_factory=threading.Event)
    _beat: threading.Event = field(default_factory=threading.Event)

    def say(self, step: str, **details: Any) -> None:
        """Tell whoever watches what is happening now; a new step at once, its details with the next beat."""
        where = {} if self.compute is None else {"compute": self.compute}
        before, self._latest = self._latest, {"step": step, **where, **details}
        self.on_progress(self._latest)
        if before is None or before["step"] != step:
            self._beat.set()

    def should_stop(self) -> bool:
        """Whether somebody asked for a stop, or the run was taken for dead."""
        return self.stop.is_set() or self.lost.is_set()

    def ensure_running(self) -> None:
        """Go on only if nobody asked for a stop.

        Raises:
            TrainingStopped: somebody did.
            Fenced: the run was taken for dead, and may have been taken over.
        """
        if self.lost.is_set():
            raise Fenced(self.run_id, self.token)
        if self.stop.is_set():
            raise TrainingStopped

    def beat_until_done(self) -> None:
        """Write progress and heartbeat, read the stop flag, every second and with each new step."""
        sent: Progress | None = None
        life = self.life
        while True:
            self._beat.wait(BEAT_SECONDS)
            self._beat.clear()
            if self._done.is_set():
                break
            try:
                if life is None or not life.lasts():
                    life = show_life(self.database_url, self.run_id)
                latest = self._latest
                news = None if latest is sent else latest
                if lifecycle.heartbeat(life.beats, self.run_id, self.token, news):
                    self.stop.set()
                sent = latest
            except Fenced:
                self.lost.set()
                break
            except FAULTS:
                # The database is away, or takes no writes; the next beat connects anew. Promotion checks the
                # token itself.
                if life is not None:
                    life.close()
                life = None
        if life is not None:
            life.close()

    def finish_beating(self) -> None:
        """Let the heartbeat thread end."""
        self._done.set()
        self._beat.set()


@contextmanager
def holding_run(
    database_url: str,
    use_case: str,
    *,
    trigger: str,
    run_id: str | None,
    flow_run_id: str | None,
    on_progress: OnProgress,
) -> Iterator[HeldRun]:
    """Hold the run of `use_case`: the one asked for before (`run_id`), one still queued, or a new one.

    The row ends as succeeded (with `HeldRun.result`), stopped, or failed with the error. Where the worker is
    told to end it stays as it is, and the next worker asks for it again (`store.runs.cut_off`).

    Raises:
        RunBusy: another run of the use case is under way.
        RunNotFound: `run_id` is not queued (any more).
    """
    held = _begin(database_url, use_case, trigger, run_id, flow_run_id, on_progress)
    thread = threading.Thread(target=held.beat_until_done, name=f"run-{held.run_id}", daemon=True)
    thread.start()
    try:
        yield held
    except Fenced:
        # The row already says what became of the run, and belongs to someone else.
        raise
    except TrainingStopped as stopped:
        _finish(held, "stopped", error=str(stopped))
        raise
    except BaseException as error:
        if not _is_cut_off(error):
            _finish(held, "failed", error=f"{type(error).__name__}: {error}")
        raise
    else:
        _finish(held, "succeeded")
    finally:
        held.finish_beating()
        thread.join(timeout=5)


def _begin(
    database_url: str,
    use_case: str,
    trigger: str,
    run_id: str | None,
    flow_run_id: str | None,
    on_progress: OnProgress,
) -> HeldRun:
    with connect(database_url) as conn:
        run_id = run_id or claim_run(conn, use_case, trigger)
        conn.commit()
        token = lifecycle.start_run(conn, run_id, flow_run_id=flow_run_id)
        # Before others see it run, not with the first beat: an import may hold this process up for seconds.
        life = show_life(database_url, run_id)
        conn.commit()
        run = find_run(conn, run_id)
        assert run is not None
    options = RunOptions.model_validate(run.options)
    return HeldRun(run_id, token, database_url, on_progress, kind=run.kind, options=options, life=life)


def _is_cut_off(error: BaseException) -> bool:
    """Whether the process was told to end with the worker that it belongs to."""
    from prefect.exceptions import TerminationSignal

    return isinstance(error, TerminationSignal) and os.environ.get(MARK_SERVER) == "worker"


def show_life(database_url: str, run_id: str) -> Life:
    """Connections that hold the lock by which others see that the holder of a run is there."""
    conn = connect(database_url, autocommit=True)
    with closed_on_error(conn):
        return Life(conn, lifecycle.show_life(conn, run_id))


def _finish(held: HeldRun, status: str, *, error: str | None = None) -> None:
    """Say how the run ended, as soon as the database answers: what it came to may have been promoted."""
    until, tried = time.monotonic() + FINISH_SECONDS, False
    while True:
        try:
            with connect(held.database_url) as conn:
                held.finish_beating()
                if tried and (run := find_run(conn, held.run_id)) is not None and run.status == status:
                    return  # the connection was lost behind what it was to say
                lifecycle.finish_run(
                    conn, held.run_id, held.token, status=status, result=held.result, error=error
                )
            return
        except FAULTS:
            if time.monotonic() > until:
                raise
            tried = True
            time.sleep(BEAT_SECONDS)


def claim_run(
    conn: psycopg.Connection[Any],
    use_case: str,
    trigger: str,
    *,
    kind: Kind = "retrain",
    options: RunOptions | None = None,
) -> str:
    """Id of a run to start now: one that another process queued and did not begin, or a new one.

    A running one that has missed beats may have been killed: it is given the time to prove that it lives.

    Raises:
        RunBusy: one is running, or waits for the worker.
    """
    until = time.monotonic() + lifecycle.GONE_SECONDS + BEAT_SECONDS
    while is_silent(conn, use_case, 2 * BEAT_SECONDS) and time.monotonic() < until:
        lifecycle.mark_lost(conn, use_case)
        conn.commit()
        time.sleep(BEAT_SECONDS / 4)
    chosen = (options or RunOptions()).model_dump(exclude_defaults=True)
    queued = queued_run(conn, use_case)
    if queued is not None and (queued.runner, queued.kind, queued.options) == ("caller", kind, chosen):
        return queued.id
    return request_run(conn, use_case, kind, trigger, options=chosen)
