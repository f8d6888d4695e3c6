"""Where a use case stands, as database and registry know it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg

from configs.schema import UseCase
from models.canary.standing import as_plain, canary_facts
from models.mirroring.shown import shadow_facts
from models.probation.shown import probation_facts
from models.production.chosen_labels import find_chosen_labels
from models.production.contract import RegistryReader
from models.production.live_quality import quality_now
from models.production.record_history import record_facts
from models.retraining.backlog import ProductionFacts, decide, read_production, standing
from store.drift.checks import DriftCheck, last_check
from store.errors import UnknownSnapshot
from store.feedback.fence_counts import fence_facts
from store.feedback.revisions.taken_back_counts import taken_back_facts
from store.feedback.rows import count_feedback
from store.pauses import find_pause
from store.quarantine.rows import quarantine_facts
from store.runs.rows import Run, last_run
from store.sources.standings import source_facts


@dataclass(frozen=True)
class UseCaseStatus:
    """One use case; None: unknown, or there is none."""

    name: str
    title: str
    production: int | None = None
    problem: str | None = None
    """What is wrong with it in the registry, and what to do."""
    service: str | None = None
    """What the service says is wrong with it: a version that it refuses, and what answers."""
    age_days: float | None = None
    """Days since that version was made."""
    plain: str | None = None
    """How it stands beside a plain model that was judged on the same rows."""
    labels: int | None = None
    new_labels: int | None = None
    """Labels that came since then."""
    new_since: str | None = None
    """`production was trained` or, after a rollback, `a later version was taken back`."""
    untried_labels: int | None = None
    """Those of them that no run has tried to learn from yet."""
    every_labels: int | None = None
    """A retrain starts by itself after this many of those."""
    quarantine: Mapping[str, Any] | None = None
    """How many rows are in quarantine, and the `reasons` of most of them."""
    fence: Mapping[str, Any] | None = None
    """How many rows lie beyond production's fence (`store.feedback.fence_counts`)."""
    taken_back: Mapping[str, Any] | None = None
    """How many labels were taken back, and who did so last."""
    sources: Mapping[str, Any] | None = None
    """Whose labels there are, how often they contradict each other, and which are held back."""
    left_out_rows: int | None = None
    """Stored rows that the last run left out, as they do not fit the configuration."""
    paused: Mapping[str, Any] | None = None
    """Who paused promotion, and why."""
    retrain: Mapping[str, Any] | None = None
    """Whether a retrain is due, and why (`models.retraining.triggers.RetrainDecision`)."""
    quality: Mapping[str, Any] | None = None
    """How the newest labelled answers fare, and what was promised (a `QualityNow`)."""
    record: Mapping[str, Any] | None = None
    """What the record of new models said at the last verdicts (`models.production.record_history`)."""
    probation: Mapping[str, Any] | None = None
    """How the version that was promoted last stands beside the one before (`models.probation.shown`)."""
    canary: Mapping[str, Any] | None = None
    """What is tried on a share of the requests, and how it stands (`models.canary.standing`)."""
    shadow: Mapping[str, Any] | None = None
    """What another version says of live records (`models.mirroring.shown`)."""
    chosen_labels: Mapping[str, Any] | None = None
    """What is missing after the newest verdict believed no label (`models.production.chosen_labels`)."""
    last_run: Mapping[str, Any] | None = None
    last_drift: Mapping[str, Any] | None = None
    next_runs: Mapping[str, str] = field(default_factory=dict)
    """Flow -> time of its next scheduled run."""


def stored_facts(
    conn: psycopg.Connection[Any], use_case: UseCase, registry: RegistryReader | None
) -> dict[str, Any]:
    """What database and registry know of a use case."""
    run = last_run(conn, use_case.name)
    check = last_check(conn, use_case.name)
    pause = find_pause(conn, use_case.name)
    chosen = find_chosen_labels(conn, use_case)
    from_database: dict[str, Any] = {
        "paused": None if pause is None else pause.as_dict(),
        "quality": quality_now(conn, use_case).as_dict(),
        "record": record_facts(conn, use_case),
        "probation": probation_facts(conn, use_case),
        "canary": as_plain(canary_facts(conn, use_case.name)),
        "shadow": shadow_facts(conn, use_case),
        "chosen_labels": None if chosen is None else chosen.as_dict(),
        "quarantine": quarantine_facts(conn, use_case.name),
        "fence": fence_facts(conn, use_case),
        "taken_back": taken_back_facts(conn, use_case.name),
        "sources": source_facts(conn, use_case.name),
        "left_out_rows": None if run is None else (run.result or {}).get("left_out_rows"),
        "last_run": None if run is None else _run(run),
        "last_drift": None if check is None else _check(check),
    }
    if registry is None:
        return {**from_database, "labels": count_feedback(conn, use_case.name)}
    production = read_production(conn, registry, use_case.name)
    problem = None if production is None else production.problem
    try:
        now = standing(conn, use_case.name, production)
    except UnknownSnapshot as error:
        problem, made = str(error), None if production is None else replace(production, snapshot=None)
        now = standing(conn, use_case.name, made)
    return {
        **from_database,
        "problem": problem,
        "production": now.version,
        "plain": _plain(run, production),
        "age_days": now.age_days,
        "labels": now.total_labels,
        "new_labels": now.new_labels,
        "new_since": now.new_since,
        "untried_labels": now.untried_labels,
        "every_labels": use_case.retrain.every_labels,
        "retrain": decide(conn, use_case, now).as_dict(),
    }


def _plain(run: Run | None, production: ProductionFacts | None) -> str | None:
    """As the last run says that had a plain model, else as it was when production was made."""
    told = None if run is None or run.result is None else run.result.get("plain")
    made = None if production is None else production.plain
    return made if told is None else str(told["sentence"])


def _run(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "status": run.status,
        "trigger": run.trigger,
        "requested_at": run.requested_at,
        "finished_at": run.finished_at,
        "outcome": (run.result or {}).get("outcome"),
        "error": run.error,
        "warnings": list((run.result or {}).get("warnings") or ()),
    }


def _check(check: DriftCheck) -> dict[str, Any]:
    return {
        "at": check.at,
        "verdict": check.verdict,
        "share": check.share,
        "reason": check.report.get("reason"),
        "parts": check.report.get("parts", {"data": check.verdict}),
        "moved": check.moved,
        "sentence": check.sentence,
        "model_version": check.model_version,
    }
