"""Read what a use case has come to, and let `models.decisions` say whether a retrain is due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from configs.schema import UseCase
from features.drift_checks import recent_checks
from features.feedback import count_feedback
from features.snapshots import find_snapshot
from flows.context import LoopContext
from flows.lineage import SNAPSHOT_TAG
from models.decisions import RetrainDecision, decide_retrain
from models.mlflow_rest import RegistryReader


@dataclass(frozen=True)
class Standing:
    """Production and the labels that have come since."""

    version: int | None
    age: timedelta | None
    total_labels: int
    new_labels: int


def standing(conn: psycopg.Connection[Any], use_case: str, registry: RegistryReader) -> Standing:
    """Where the use case stands now."""
    total = count_feedback(conn, use_case)
    number = registry.alias_version(use_case, "production")
    if number is None:
        return Standing(None, None, total, total)
    version = registry.version(use_case, number)
    digest = version.tags.get(SNAPSHOT_TAG)
    since = None if digest is None else find_snapshot(conn, digest).last_seq
    made = datetime.fromtimestamp(version.created_ms / 1000, UTC)
    return Standing(number, datetime.now(UTC) - made, total, count_feedback(conn, use_case, since_seq=since))


def retrain_decision(context: LoopContext) -> RetrainDecision:
    """Whether a retrain is due now."""
    with context.connect() as conn:
        now = standing(conn, context.use_case.name, context.registry)
        return decide(conn, context.use_case, now)


def decide(conn: psycopg.Connection[Any], use_case: UseCase, now: Standing) -> RetrainDecision:
    """Whether a retrain is due for a use case that stands like this."""
    windows = use_case.retrain.drift_windows
    checks = recent_checks(conn, use_case.name, model_version=now.version, limit=windows)
    return decide_retrain(
        use_case.retrain,
        new_labels=now.new_labels,
        total_labels=now.total_labels,
        min_rows=use_case.training.min_rows,
        age=now.age,
        drift=[check.verdict == "drift" for check in checks],
    )
