"""Control of retrains over HTTP: start one, stop it, and say where the use case stands.

Every answer is read from the rows that schedule, command, Prefect and HTTP share, so it is the same
whoever asked for the run. The functions block and run in a thread.
"""

from __future__ import annotations

from datetime import UTC, datetime
from time import monotonic, sleep
from typing import Any

import orjson
import psycopg

from configs.cron_times import next_time
from configs.run_options import RunRequest
from configs.schema import UseCase
from models.production.live_quality import quality_now
from models.retraining.backlog import ProductionFacts, Standing, decide, standing
from service.answers.slot import ServedVersion, Slot
from service.errors import Busy, NoRun, NotRunning
from service.runs.options import read_options
from service.state.addresses import Addresses
from service.storage.database import Database
from store.drift.checks import last_check
from store.errors import NothingRunning, RunBusy, SnapshotError
from store.pauses import find_pause
from store.runs.life import request_run, stop_active
from store.runs.rows import Run, active_run, ended_run, find_run, recent_runs

TRIGGER = "http"
TAKEN_SECONDS = 1.0
"""How long an answer waits for the worker to take a run, to be able to say so."""
_LOOK_SECONDS = 0.05
RUNS = 20
MOST_RUNS = 500


def start_retrain(database: Database, use_case: str, body: bytes) -> dict[str, Any]:
    """Ask for a retrain; it is durable when this returns.

    Raises:
        Busy: one is queued or running.
        Invalid, NotJson: the options cannot be used.
        DatabaseAway: nothing was asked for.
    """
    options = read_options(body, RunRequest).model_dump(exclude_defaults=True)
    try:
        run_id = database.run(
            lambda conn: request_run(conn, use_case, "retrain", TRIGGER, runner="worker", options=options)
        )
    except RunBusy as busy:
        raise Busy(use_case, busy.running_id) from busy
    return await_taken(database, run_id)


def await_taken(database: Database, run_id: str) -> dict[str, Any]:
    """Wait a moment for the worker to take a run: `started` when it has, else `queued`."""
    until = monotonic() + TAKEN_SECONDS
    while True:
        run = database.run(lambda conn: find_run(conn, run_id))
        assert run is not None
        taken = run.status != "queued" or run.flow_run_id is not None
        if taken or monotonic() >= until:
            return {
                "status": "started" if taken else "queued",
                "run_id": run.id,
                "kind": run.kind,
                "trigger": run.trigger,
                "requested_at": run.requested_at,
            }
        sleep(_LOOK_SECONDS)


def stop_retrain(database: Database, use_case: str) -> dict[str, Any]:
    """Ask the active run to stop: `stopped` when it had not begun, else `stopping`.

    Raises:
        NotRunning: nothing is queued or running.
    """

    try:
        run_id, status = database.run(lambda conn: stop_active(conn, use_case))
    except NothingRunning as error:
        raise NotRunning(str(error)) from error
    return {"status": status, "run_id": run_id}


def find_followed(database: Database, use_case: str, run_id: str | None) -> str:
    """The run to tell of: the one named, else the active one, else the last.

    Raises:
        NoRun: there is none, or it is of another use case.
    """

    def find(conn: psycopg.Connection[Any]) -> Run | None:
        if run_id is not None:
            return find_run(conn, run_id)
        return active_run(conn, use_case) or ended_run(conn, use_case)

    run = database.run(find)
    if run is None or run.use_case != use_case:
        raise NoRun(use_case, run_id)
    return run.id


def read_status(database: Database, use_case: UseCase, slot: Slot) -> dict[str, Any]:
    """Where the use case stands, and what is recommended and why."""
    return database.run(lambda conn: _status(conn, use_case, slot.current))


def _status(conn: psycopg.Connection[Any], use_case: UseCase, live: ServedVersion | None) -> dict[str, Any]:
    name, every = use_case.name, use_case.retrain.every_labels
    active, last, check = active_run(conn, name), ended_run(conn, name), last_check(conn, name)
    now = _standing(conn, name, live)
    decision, paused = decide(conn, use_case, now), find_pause(conn, name)
    schedule = use_case.schedule
    following = (
        None
        if schedule.retrain is None
        else next_time(schedule.retrain, schedule.timezone, datetime.now(UTC))
    )
    return {
        "use_case": name,
        "state": _state(active),
        "run": None if active is None else _describe(active),
        "last_run": None if last is None else _describe(last),
        "next_run": following,
        "version": now.version,
        "age_days": None if now.age is None else round(now.age.total_seconds() / 86_400, 3),
        "labels": {
            "total": now.total_labels,
            "new": now.new_labels,
            "untried": now.untried_labels,
            "every": every,
            "percent": None if every is None else round(min(100.0, 100 * now.untried_labels / every), 1),
        },
        "drift": None
        if check is None
        else {"at": check.at, "verdict": check.verdict, "share": check.share, "version": check.model_version},
        "quality": quality_now(conn, use_case).as_dict(),
        "paused": None if paused is None else paused.as_dict(),
        "recommendation": {
            "verdict": decision.verdict,
            "trigger": decision.trigger,
            "reasons": list(decision.reasons),
            "needs": decision.recommendation,
        },
    }


def read_history(database: Database, prefect_url: str, use_case: str, limit: int) -> bytes:
    """The runs that were asked for last, newest first: who asked, how long, what they came to.

    Raises:
        DatabaseAway: the database does not answer.
    """
    runs = database.run(lambda conn: recent_runs(conn, use_case, limit))
    pages = Addresses(prefect_url=prefect_url)
    told = [_describe(run) | {"links": {"prefect_run": pages.flow_run(run)}} for run in runs]
    return orjson.dumps({"use_case": use_case, "runs": told})


def _standing(conn: psycopg.Connection[Any], use_case: str, live: ServedVersion | None) -> Standing:
    """From the version that serves, so that it can be told with MLflow away."""
    if live is None:
        return standing(conn, use_case, None)
    manifest = live.predictor.manifest
    facts = ProductionFacts(live.version, manifest.lineage.snapshot_digest, manifest.created_at)
    try:
        return standing(conn, use_case, facts)
    except SnapshotError:  # it was trained on another database
        return standing(conn, use_case, ProductionFacts(live.version, None, manifest.created_at))


def _state(active: Run | None) -> str:
    if active is None:
        return "idle"
    return "stopping" if active.stop_requested else active.status


def _describe(run: Run) -> dict[str, Any]:
    result = run.result or {}
    return {
        "id": run.id,
        "kind": run.kind,
        "status": run.status,
        "trigger": run.trigger,
        "requested_at": run.requested_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "seconds": run.seconds,
        "progress": run.progress,
        "stop_requested": run.stop_requested,
        "outcome": result.get("outcome"),
        "reason": result.get("reason"),
        "version": result.get("version"),
        "rows": {"train": result.get("train_rows"), "judged": result.get("holdout_rows")},
        "scores": result.get("scores"),
        "error": run.error,
    }
