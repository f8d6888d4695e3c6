"""A scheduled retrain for which nothing has come, seen by counts and the registry before any row is read."""

from __future__ import annotations

from dataclasses import replace

from flows.context import LoopContext
from flows.retrain.production import NO_PRODUCTION, Production
from flows.retrain.steps import untried_taken_back
from models.retraining.backlog import TRAINED, read_production, standing
from store.snapshots.index import Snapshot, find_snapshot


def find_idle(context: LoopContext, kind: str, trigger: str) -> tuple[Production, Snapshot] | None:
    """Production, by its number only, and what it learned from; None: there may be something to learn.

    Where it is not certain, rows are read, and `flows.retrain.sequence.nothing_new` says what follows.

    Raises:
        RegistryUnavailable: MLflow does not answer.
        SnapshotError: production's snapshot is not known here.
    """
    if kind != "retrain" or trigger != "schedule":
        return None
    name = context.use_case.name
    with context.connect() as conn:
        facts = read_production(conn, context.registry, name)
        if facts is None or facts.problem is not None or facts.snapshot is None:
            return None
        now = standing(conn, name, facts)
        if now.new_labels or now.new_since != TRAINED:
            return None
        snapshot = find_snapshot(conn, facts.snapshot)
    if untried_taken_back(context):
        return None
    version = context.registry.version(name, facts.version)
    return replace(NO_PRODUCTION, version=version), snapshot
