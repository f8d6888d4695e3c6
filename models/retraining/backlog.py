"""Where a use case stands: production, and the labels that have come since it was trained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from configs.schema import UseCase
from models.errors import UnknownVersion
from models.production import ledger
from models.production.contract import RegistryReader
from models.production.incumbent import find_incumbent
from models.production.tags import SNAPSHOT_TAG
from models.retraining.triggers import RetrainDecision, decide_retrain
from store.drift.checks import recent_checks
from store.feedback.rows import count_feedback, count_untried
from store.quarantine.rows import describe_quarantine
from store.snapshots.index import find_snapshot
from store.snapshots.sizes import holdout_now


@dataclass(frozen=True)
class ProductionFacts:
    """What must be known of production to say how far labels have gone beyond it."""

    version: int
    snapshot: str | None
    """Digest of the rows that it learned from."""
    made: datetime
    problem: str | None = None
    """What is wrong with it in the registry, and what to do."""


@dataclass(frozen=True)
class Standing:
    """Production and the labels that have come since."""

    version: int | None
    age: timedelta | None
    total_labels: int
    new_labels: int
    untried_labels: int
    """Those of them that no run has tried to learn from yet."""

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
    try:
        version = registry.version(use_case, incumbent.version)
    except UnknownVersion:
        move = ledger.last_move(conn, use_case)
        snapshot = (ledger.known_tags(conn, use_case, incumbent.version) or {}).get(SNAPSHOT_TAG)
        made = datetime.now(UTC) if move is None else move.at
    else:
        snapshot = version.tags.get(SNAPSHOT_TAG)
        made = datetime.fromtimestamp(version.created_ms / 1000, UTC)
    return ProductionFacts(incumbent.version, snapshot, made, incumbent.problem)


def standing(conn: psycopg.Connection[Any], use_case: str, production: ProductionFacts | None) -> Standing:
    """Where the use case stands now.

    Raises:
        SnapshotError: production's snapshot is not known here.
    """
    total = count_feedback(conn, use_case)
    if production is None:
        return Standing(None, None, total, total, total)
    since = known_seq(conn, use_case, production.snapshot)
    age = datetime.now(UTC) - production.made
    new = count_feedback(conn, use_case, since_seq=since)
    return Standing(production.version, age, total, new, count_untried(conn, use_case, since_seq=since))


def known_seq(conn: psycopg.Connection[Any], use_case: str, snapshot: str | None) -> int | None:
    """The newest feedback that production has learned from, or a version that was rolled back.

    Without the latter the labels of a version that was rolled back would make a retrain due, which would
    make the same version again.

    Raises:
        SnapshotError: production's snapshot is not known here.
    """
    digests = [*([] if snapshot is None else [snapshot]), *ledger.rolled_back_from(conn, use_case)]
    return max((find_snapshot(conn, digest).last_seq for digest in digests), default=None)


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
    decision = decide_retrain(
        use_case.retrain,
        new_labels=now.new_labels,
        untried_labels=now.untried_labels,
        total_labels=now.total_labels,
        training=use_case.training.model_copy(update={"holdout": holdout}),
        age=now.age,
        drift=[check.verdict == "drift" for check in checks],
    )
    if decision.verdict != "collect_labels":
        return decision
    refused = describe_quarantine(conn, use_case.name)
    return decision if refused is None else replace(decision, reasons=(*decision.reasons, refused))
