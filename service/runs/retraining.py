"""Retrains over HTTP: start one, stop it, read the status of a use case and its past runs.

Every response is read from the rows that schedule, command line, Prefect and HTTP share, so it is the
same however a run was requested. The functions block and run in a thread.
"""

from __future__ import annotations

from datetime import UTC, datetime
from time import monotonic, sleep
from typing import Any

import orjson
import psycopg

from configs.run_options import RunRequest
from configs.schema import ScheduleConfig, UseCase
from configs.times.cron_times import next_time
from models.canary.standing import as_plain, canary_facts
from models.mirroring.shown import shadow_facts
from models.probation.shown import probation_facts
from models.production.chosen_labels import find_chosen_labels
from models.production.live_quality import quality_now
from models.production.record_history import record_facts
from models.retraining.backlog import ProductionFacts, Standing, decide, standing
from models.retraining.triggers import RetrainDecision
from service.answers.options import read_options
from service.answers.slot import ServedVersion, Slot
from service.errors import Busy, Invalid, NoRun, NotRunning
from service.state.addresses import Addresses
from service.storage.database import Database
from store.drift.checks import DriftCheck, last_check
from store.errors import NothingRunning, RunBusy, SnapshotError
from store.feedback.fence_counts import fence_facts
from store.feedback.revisions.taken_back_counts import taken_back_facts
from store.pauses import find_pause
from store.quarantine.rows import quarantine_facts
from store.runs.lifecycle import request_run, stop_active
from store.runs.rows import Run, active_run, ended_run, find_run, recent_runs
from store.sources.standings import source_facts

TRIGGER = "http"
TAKEN_SECONDS = 1.0
"""How long a response waits for the worker to take a run, to be able to say so."""
_POLL_SECONDS = 0.05
RUNS = 20
MOST_RUNS = 500
"""Default and maximum of `limit` in the history."""


def start_retrain(database: Database, use_case: UseCase, body: bytes) -> dict[str, Any]:
    """Request a retrain; the request is durable when this returns.

    Args:
        body: JSON of a `RunRequest`, or empty.

    Returns:
        The response: as `await_taken`.

    Raises:
        Busy: one is queued or running.
        Invalid, NotJson: the options cannot be used.
        DatabaseAway: nothing was requested.
    """
    asked = read_options(body, RunRequest)
    if asked.epochs is not None and (problem := use_case.epochs_problem()) is not None:
        raise Invalid(f"option 'epochs': got {asked.epochs}, but {problem}")
    name, options = use_case.name, asked.model_dump(exclude_defaults=True)
    try:
        run_id = database.run(
            lambda conn: request_run(conn, name, "retrain", TRIGGER, runner="worker", options=options)
        )
    except RunBusy as busy:
        raise Busy(name, busy.running_id) from busy
    return await_taken(database, run_id)


def await_taken(database: Database, run_id: str) -> dict[str, Any]:
    """Wait a moment for the worker to take a run: `started` when it has, else `queued`."""
    deadline = monotonic() + TAKEN_SECONDS
    while True:
        run = database.read(lambda conn: find_run(conn, run_id))
        assert run is not None
        is_taken = run.status != "queued" or run.flow_run_id is not None
        if is_taken or monotonic() >= deadline:
            return {
                "status": "started" if is_taken else "queued",
                "run_id": run.id,
                "kind": run.kind,
                "trigger": run.trigger,
                "requested_at": run.requested_at,
            }
        sleep(_POLL_SECONDS)


def stop_retrain(database: Database, use_case: str) -> dict[str, Any]:
    """Request that the active run stops; `status` is `stopped` when it had not begun, else `stopping`.

    Raises:
        NotRunning: nothing is queued or running.
    """
    try:
        run_id, status = database.run(lambda conn: stop_active(conn, use_case))
    except NothingRunning as error:
        raise NotRunning(str(error)) from error
    return {"status": status, "run_id": run_id}


def find_followed(database: Database, use_case: str, run_id: str | None) -> str:
    """Id of the run whose progress is followed: `run_id`, else the active run, else the last.

    Raises:
        NoRun: there is none, or it is of another use case.
    """

    def find(conn: psycopg.Connection[Any]) -> Run | None:
        if run_id is not None:
            return find_run(conn, run_id)
        return active_run(conn, use_case) or ended_run(conn, use_case)

    run = database.read(find)
    if run is None or run.use_case != use_case:
        raise NoRun(use_case, run_id)
    return run.id


def read_status(database: Database, use_case: UseCase, slot: Slot) -> dict[str, Any]:
    """The response of retrain/status: runs, labels, drift and quality, and what is recommended and why."""
    return database.read(lambda conn: _status(conn, use_case, slot.current))


def _status(conn: psycopg.Connection[Any], use_case: UseCase, live: ServedVersion | None) -> dict[str, Any]:
    name = use_case.name
    active, last = active_run(conn, name), ended_run(conn, name)
    backlog = _backlog(conn, name, live)
    paused, chosen = find_pause(conn, name), find_chosen_labels(conn, use_case)
    return {
        "use_case": name,
        "state": _state(active),
        "run": None if active is None else _describe(active),
        "last_run": None if last is None else _describe(last),
        "next_run": _next_run(use_case.schedule),
        "version": backlog.version,
        "age_days": backlog.age_days,
        "labels": _describe_labels(backlog, use_case.retrain.every_labels),
        "drift": _describe_drift(last_check(conn, name)),
        "quality": quality_now(conn, use_case).as_dict(),
        "record": record_facts(conn, use_case),
        "probation": probation_facts(conn, use_case),
        "canary": as_plain(canary_facts(conn, name)),
        "shadow": shadow_facts(conn, use_case),
        "chosen_labels": None if chosen is None else chosen.as_dict(),
        "quarantine": quarantine_facts(conn, name),
        "fence": fence_facts(conn, use_case),
        "taken_back": taken_back_facts(conn, name),
        "sources": source_facts(conn, name),
        "paused": None if paused is None else paused.as_dict(),
        "recommendation": _describe_decision(decide(conn, use_case, backlog)),
    }


def _next_run(schedule: ScheduleConfig) -> datetime | None:
    if schedule.retrain is None:
        return None
    return next_time(schedule.retrain, schedule.timezone, datetime.now(UTC))


def _describe_labels(backlog: Standing, every: int | None) -> dict[str, Any]:
    return {
        "total": backlog.total_labels,
        "new": backlog.new_labels,
        "since": backlog.new_since,
        "untried": backlog.untried_labels,
        "every": every,
        "percent": None if every is None else round(min(100.0, 100 * backlog.untried_labels / every), 1),
    }


def _describe_drift(check: DriftCheck | None) -> dict[str, Any] | None:
    if check is None:
        return None
    return {
        "at": check.at,
        "verdict": check.verdict,
        "share": check.share,
        "version": check.model_version,
        "parts": check.report.get("parts", {"data": check.verdict}),
        "moved": check.moved,
        "sentence": check.sentence,
    }


def _describe_decision(decision: RetrainDecision) -> dict[str, Any]:
    return {
        "verdict": decision.verdict,
        "trigger": decision.trigger,
        "reasons": list(decision.reasons),
        "needs": decision.recommendation,
    }


def read_history(database: Database, prefect_url: str, use_case: str, limit: int) -> bytes:
    """The response of retrain/history: the newest `limit` runs, newest first.

    Raises:
        DatabaseAway: the database does not answer.
    """
    runs = database.read(lambda conn: recent_runs(conn, use_case, limit))
    pages = Addresses(prefect_url=prefect_url)
    described = [_describe(run) | {"links": {"prefect_run": pages.flow_run(run)}} for run in runs]
    return orjson.dumps({"use_case": use_case, "runs": described})


def _backlog(conn: psycopg.Connection[Any], use_case: str, live: ServedVersion | None) -> Standing:
    """The labels that production has not learned from; read from the version served, without MLflow."""
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
        "rows": run.row_counts,
        "compute": result.get("compute"),
        "scores": result.get("scores"),
        "plain": result.get("plain"),
        "warnings": result.get("warnings", []),
        "error": run.error,
        "left_out": result.get("left_out_rows"),
    }
