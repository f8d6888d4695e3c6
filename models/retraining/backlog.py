"""Where a use case stands: production, and the labels that have come since it was trained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any, Literal

import psycopg

from configs.schema import UseCase
from models.canary.standing import Canary, find_canary
from models.errors import UnknownVersion
from models.production import ledger
from models.production.contract import RegistryReader
from models.production.incumbent import alias_gone, find_incumbent, version_deleted
from models.production.tags import PLAIN_TAG, SNAPSHOT_TAG
from models.retraining.triggers import BRINGING_FORWARD, TRIGGERS, RetrainDecision, decide_retrain
from store.drift.checks import recent_checks
from store.errors import UnknownSnapshot
from store.feedback.rows import count_feedback, count_superseded
from store.quarantine.rows import describe_quarantine
from store.runs.rows import ended_run
from store.runs.tries import last_tries, retry_at, was_tried_by
from store.snapshots.reach import Reach, find_reach, reach_at
from store.splits.sizes import holdout_now


@dataclass(frozen=True)
class ProductionFacts:
    """What must be known of production to say how far labels have gone beyond it."""

    version: int
    snapshot: str | None
    """Digest of the rows that it learned from."""
    made: datetime
    problem: str | None = None
    """What is wrong with it in the registry, and what to do."""
    plain: str | None = None
    """How it stood beside a plain model when it was made; None: there was none."""


NewSince = Literal["production was trained", "a later version was taken back"]
TRAINED: NewSince = "production was trained"
TAKEN_BACK: NewSince = "a later version was taken back"
"""From when on labels are new: what had come by a rollback made the version gone back from, or its like."""


@dataclass(frozen=True)
class Standing:
    """Production and the labels that have come since."""

    version: int | None
    age: timedelta | None
    total_labels: int
    new_labels: int
    untried_labels: int
    """Those of them that no run has tried to learn from yet."""
    new_since: NewSince = TRAINED

    @property
    def age_days(self) -> float | None:
        """Age of production in days, to 0.001 (86 seconds); None where there is none."""
        return None if self.age is None else round(self.age / timedelta(days=1), 3)


def read_production(
    conn: psycopg.Connection[Any], registry: RegistryReader, use_case: str
) -> ProductionFacts | None:
    """Production as the registry knows it, or where it was deleted there the ledger; None: none yet."""
    incumbent = find_incumbent(conn, registry, use_case)
    if incumbent is None:
        return None
    problem: str | None
    plain = None
    try:
        version = registry.version(use_case, incumbent.version)
    except UnknownVersion:
        move = ledger.last_move(conn, use_case)
        snapshot = (ledger.known_tags(conn, use_case, incumbent.version) or {}).get(SNAPSHOT_TAG)
        made = datetime.now(UTC) if move is None else move.at
        problem = version_deleted(use_case, incumbent.version)
    else:
        snapshot = version.tags.get(SNAPSHOT_TAG)
        plain = version.tags.get(PLAIN_TAG)
        made = datetime.fromtimestamp(version.created_ms / 1000, UTC)
        problem = None if incumbent.has_alias else alias_gone(use_case, incumbent.version)
    return ProductionFacts(incumbent.version, snapshot, made, problem, plain)


def standing(conn: psycopg.Connection[Any], use_case: str, production: ProductionFacts | None) -> Standing:
    """Where the use case stands now.

    Raises:
        SnapshotError: production's snapshot is not known here.
    """
    total = count_feedback(conn, use_case)
    if production is None:
        return Standing(None, None, total, total, total)
    known = known_reach(conn, use_case, production.snapshot)
    age = datetime.now(UTC) - production.made
    new = count_new(conn, use_case, known)
    since = TAKEN_BACK if ledger.taken_back(conn, use_case) else TRAINED
    return Standing(production.version, age, total, new, count_untried(conn, use_case, known), since)


def count_new(
    conn: psycopg.Connection[Any], use_case: str, known: Reach | None, after: datetime | None = None
) -> int:
    """Labels that came beyond what is known, of those that arrived after a time."""
    if known is None:
        return count_feedback(conn, use_case, after=after)
    return count_feedback(conn, use_case, known.last, late=sorted(known.late), after=after)


def count_untried(conn: psycopg.Connection[Any], use_case: str, known: Reach | None) -> int:
    """Labels beyond what is known that no run has tried to learn from.

    A run that succeeded has tried what its snapshot had read, and one that a person stopped what had come
    when it began. One that failed or was lost has tried nothing: what made it due makes the next one due.
    """
    tries = last_tries(conn, use_case)
    tried = find_reach(conn, [] if tries.snapshot is None else [tries.snapshot])
    reached = [reach for reach in (known, tried) if reach is not None]
    return count_new(conn, use_case, reduce(or_, reached) if reached else None, tries.began)


def known_reach(conn: psycopg.Connection[Any], use_case: str, snapshot: str | None) -> Reach | None:
    """What production has learned from and, after a rollback, all that had come by then.

    Without the latter the labels that made the version that was taken back, or that came while it served,
    would make a retrain due, which would make its like again.

    Raises:
        SnapshotError: production's snapshot is not known here.
    """
    taken_back = ledger.taken_back(conn, use_case)
    learned = None if snapshot is None else find_reach(conn, [snapshot])
    given_up = [_known_here(conn, entry.evidence.get("snapshot")) for entry in taken_back]
    by_then = _reach_then(conn, taken_back[-1]) if taken_back else None
    reaches = [reach for reach in (learned, *given_up, by_then) if reach is not None]
    return reduce(or_, reaches) if reaches else None


def _reach_then(conn: psycopg.Connection[Any], entry: ledger.Entry) -> Reach | None:
    """What had arrived when a row of the ledger was written."""
    if entry.came is None:
        return reach_at(conn, entry.use_case, entry.at)
    return reach_at(conn, entry.use_case, entry.came.at, entry.came.label)


def _known_here(conn: psycopg.Connection[Any], snapshot: str | None) -> Reach | None:
    """The reach of a snapshot; None: it is of another database, from which a person went back to this one."""
    try:
        return None if snapshot is None else find_reach(conn, [snapshot])
    except UnknownSnapshot:
        return None


def decide_now(conn: psycopg.Connection[Any], registry: RegistryReader, use_case: UseCase) -> RetrainDecision:
    """Whether a retrain is due for a use case, as the registry and the database have it now.

    Raises:
        RegistryUnavailable: MLflow does not answer.
        SnapshotError: production's snapshot is not known here.
    """
    production = read_production(conn, registry, use_case.name)
    return decide(conn, use_case, standing(conn, use_case.name, production))


def decide(conn: psycopg.Connection[Any], use_case: UseCase, now: Standing) -> RetrainDecision:
    """Whether a retrain is due for a use case that stands like this."""
    windows = use_case.retrain.drift_windows
    checks = recent_checks(conn, use_case.name, model_version=now.version, limit=windows)
    holdout = holdout_now(use_case, has_production=now.version is not None)
    brought_forward = _was_brought_forward(conn, use_case.name, now.version)
    decision = decide_retrain(
        use_case.retrain,
        new_labels=now.new_labels,
        untried_labels=now.untried_labels,
        total_labels=now.total_labels,
        training=use_case.training.model_copy(update={"holdout": holdout}),
        age=now.age,
        drift=[check.calls_for_retrain for check in checks],
        was_brought_forward=brought_forward,
        labels_ever=now.total_labels + count_superseded(conn, use_case.name) if brought_forward else None,
    )
    if decision.trigger == "first_model":
        decision = _unless_short_lately(conn, use_case, decision)
    if decision.verdict == "wait" and (tried := find_canary(conn, use_case.name)) is not None:
        return _while_tried(decision, tried)
    if decision.verdict == "retrain" and decision.trigger in TRIGGERS:
        return _unless_failed_lately(conn, use_case.name, decision)
    if decision.verdict != "collect_labels":
        return decision
    refused = describe_quarantine(conn, use_case.name)
    return decision if refused is None else replace(decision, reasons=(*decision.reasons, refused))


def _while_tried(decision: RetrainDecision, tried: Canary) -> RetrainDecision:
    """The same, which waits for what is tried before it waits for labels."""
    told = (
        f"version {tried.version} is tried as a canary until {tried.until:%Y-%m-%d %H:%M} UTC at the latest"
    )
    return replace(decision, reasons=(told, *decision.reasons), recommendation="wait for the canary's end")


def _was_brought_forward(conn: psycopg.Connection[Any], use_case: str, version: int | None) -> bool:
    """Whether drift or age have had their retrain since the version that serves has won.

    To go back to it is no win: what they brought forward has come to nothing then, and so would its like.
    """
    won = None if version is None else ledger.newest(conn, use_case, ledger.WINS, version=version)
    if won is None:
        return was_tried_by(conn, use_case, BRINGING_FORWARD)
    if won.came is None:
        return was_tried_by(conn, use_case, BRINGING_FORWARD, since=won.at)
    return was_tried_by(conn, use_case, BRINGING_FORWARD, after=won.came.run)


def _unless_failed_lately(
    conn: psycopg.Connection[Any], use_case: str, decision: RetrainDecision
) -> RetrainDecision:
    """Not at once again what has just failed: a failure that lasts would start one run after the other."""
    retry = retry_at(conn, use_case)
    if retry is None or retry <= datetime.now(UTC):
        return decision
    moment = f"{retry.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    failed = f"the last run failed; what is due is tried again from {moment} on"
    return replace(
        decision, verdict="wait", trigger=None, reasons=(*decision.reasons, failed),
        recommendation="see why the last run failed, or retrain now",
    )  # fmt: skip


def _unless_short_lately(
    conn: psycopg.Connection[Any], use_case: UseCase, decision: RetrainDecision
) -> RetrainDecision:
    """Not again what was skipped for want of rows, before as many labels have come as it lacked.

    Rows that are left out, or repeat a record, and a draw by hash leave fewer than the number of labels says.
    """
    run = ended_run(conn, use_case.name)
    result = (None if run is None else run.result) or {}
    least, rows = use_case.training.min_rows, result.get("train_rows")
    if result.get("outcome") != "skipped" or rows is None or rows >= least:
        return decision
    lacking = least - rows - count_untried(conn, use_case.name, None)
    if lacking <= 0:
        return decision
    return replace(
        decision,
        verdict="collect_labels",
        trigger=None,
        reasons=(f"the last run had {rows} rows to learn from; training needs {least}",),
        recommendation=f"need {lacking} more labels",
    )
