"""Run the loop's flows from a command, in this process, and follow them as any other process could.

It is the same flow as the schedule and the Prefect UI start. Prefect reads its settings when it is
imported, so the environment must be set before (`flows.servers.environment`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from configs.loading import load_selected
from configs.run_options import RunOptions
from configs.schema import UseCase
from configs.settings import Settings
from flows.retrain.held_run import claim_run
from flows.retrain.training.plan import planned_challengers
from models.errors import ModelError, NotConfigurable, RunFailed, TrainingStopped
from models.estimators.catalogue import make_estimator
from models.laws.configured import ensure_learnable
from store.database.connection import connect, database_url
from store.errors import RunBusy
from store.runs.lifecycle import request_run
from store.runs.rows import ENDED, Kind, Run, active_run, find_run

POLL_SECONDS = 0.3
OnProgress = Callable[[Mapping[str, Any]], None]


def retrain_now(
    settings: Settings,
    use_case: str,
    *,
    trigger: str = "person",
    kind: Kind = "retrain",
    options: RunOptions | None = None,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Retrain and return the result (`flows.retrain.outcome.RetrainResult.as_dict`).

    Args:
        on_progress: called now and then with what the run says of itself.

    Raises:
        NotConfigurable: its estimator cannot learn what the configuration says, or has no epochs where the
            options name some; nothing was started.
        RunBusy: a run of the use case is under way.
        TrainingStopped: somebody stopped it.
        Exception: whatever made the run fail.
    """
    described = load_selected(settings.config_dirs, [use_case])[use_case]
    ensure_learnable([described])
    if options is not None and options.epochs is not None:
        _ensure_epochs(described, kind, options)
    from flows.loop import retrain

    url = database_url(settings)
    with connect(url) as conn:
        run_id = claim_run(conn, use_case, trigger, kind=kind, options=options)
    with _following(url, run_id, on_progress):
        state = retrain(use_case, trigger=trigger, run_id=run_id, return_state=True)
    if state.is_cancelled():
        raise TrainingStopped
    result = state.result()
    if result is None:  # it was skipped: another command began the run that both had found queued
        with connect(url) as conn:
            holder = active_run(conn, use_case)
        raise RunBusy(use_case, holder.id if holder else "that has just ended")
    return cast("dict[str, Any]", result)


def _ensure_epochs(use_case: UseCase, kind: Kind, options: RunOptions) -> None:
    """Refuse epochs that an estimator does not take, also one of another package."""
    if (problem := use_case.epochs_problem()) is not None:
        raise NotConfigurable(use_case.name, f"got {options.epochs} epochs, but {problem}")
    for challenger in planned_challengers(use_case, kind, options, production=None):
        model = use_case.for_challenger(challenger).model
        try:
            make_estimator(model.estimator, {**model.params, **challenger.params})
        except ModelError as error:
            raise NotConfigurable(use_case.name, f"got {options.epochs} epochs: {error}") from error


def retrain_on_worker(
    settings: Settings, use_case: str, *, trigger: str = "person", on_progress: OnProgress | None = None
) -> dict[str, Any]:
    """Retrain on the worker, as when asked for over HTTP, and wait for the result.

    Raises:
        RunBusy: a run of the use case is under way.
        TrainingStopped: somebody stopped it.
        RunFailed: it failed; the message says why.
    """
    url = database_url(settings)
    with connect(url, autocommit=True) as conn:
        run_id = request_run(conn, use_case, "retrain", trigger, runner="worker")
        last: Mapping[str, Any] | None = None
        while True:
            run = find_run(conn, run_id)
            assert run is not None
            if on_progress is not None and run.progress and run.progress != last:
                last = run.progress
                on_progress(last)
            if run.status in ENDED:
                return _result(run)
            time.sleep(POLL_SECONDS)


def _result(run: Run) -> dict[str, Any]:
    if run.status == "stopped":
        raise TrainingStopped
    if run.status != "succeeded" or run.result is None:
        raise RunFailed(run.use_case, run.error or f"its process ended ({run.status})")
    return run.result


def drift_now(
    settings: Settings, use_case: str, *, on_retrain: Callable[[Run], None] | None = None
) -> dict[str, Any] | None:
    """Check drift and return the decision; None when there is no production yet.

    Args:
        on_retrain: called now and then with the run, where what was found starts one.
    """
    load_selected(settings.config_dirs, [use_case])
    from flows.loop import drift

    with _seeing_runs(database_url(settings), use_case, on_retrain):
        return cast("dict[str, Any] | None", drift(use_case, return_state=True).result())


@contextmanager
def _seeing_runs(url: str, use_case: str, on_run: Callable[[Run], None] | None) -> Iterator[None]:
    """Tell of runs of a use case that begin meanwhile."""
    if on_run is None:
        yield
        return
    with connect(url) as conn:
        before = active_run(conn, use_case)

    def look(done: threading.Event) -> None:
        with connect(url, autocommit=True) as conn:
            while not done.wait(POLL_SECONDS):
                run = active_run(conn, use_case)
                if run is not None and (before is None or run.id != before.id):
                    on_run(run)

    with _beside(look):
        yield


@contextmanager
def _following(url: str, run_id: str, on_progress: OnProgress | None) -> Iterator[None]:
    if on_progress is None:
        yield
        return
    with _beside(lambda done: _follow(url, run_id, on_progress, done)):
        yield


@contextmanager
def _beside(follow: Callable[[threading.Event], None]) -> Iterator[None]:
    """A thread that goes on until the event."""
    done = threading.Event()
    thread = threading.Thread(target=follow, args=(done,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(timeout=5)


def _follow(url: str, run_id: str, on_progress: OnProgress, done: threading.Event) -> None:
    last: Mapping[str, Any] | None = None
    with connect(url, autocommit=True) as conn:
        while not done.wait(POLL_SECONDS):
            run = find_run(conn, run_id)
            progress = None if run is None else run.progress
            if progress and progress != last:
                on_progress(progress)
                last = progress
