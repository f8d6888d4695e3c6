"""When a retrain has nothing to do: nothing has come, or all is as when the last one came to nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from configs.schema import UseCase
from flows.context import LoopContext
from flows.retrain import steps
from flows.retrain.production import NO_PRODUCTION, Production
from models.production import ledger
from models.provenance.code_revision import code_revision
from models.retraining.backlog import TRAINED, ProductionFacts, read_production, standing
from store.errors import SnapshotError
from store.feedback.marks import label_mark
from store.runs.rows import ended_run
from store.snapshots.index import Snapshot, find_snapshot

NOTHING_CAME = "no label has come since production was trained"
NOTHING_CHANGED = (
    "neither labels, configuration nor production have changed since the last retrain, which promoted nothing"
)
LONGEST = timedelta(days=7)
"""After so long a schedule retrains again: an edit of a class of another package, say, is in no mark."""


@dataclass(frozen=True)
class Seen:
    """What a retrain is made of, but for the version that serves."""

    mark: str
    at: datetime
    """When a retrain last made something of it."""

    def beside(self, production: int | None) -> dict[str, Any]:
        """With the version that serves, for the result of a run."""
        return {"mark": self.mark, "production": production, "at": self.at.isoformat()}


@dataclass(frozen=True)
class Idle:
    """What a retrain with nothing to do stands on."""

    production: Production
    """By its number only."""
    snapshot: Snapshot
    """What it, or the last retrain, learned from."""
    reason: str
    seen: Seen
    """When something was last made of it."""


def seen_now(conn: psycopg.Connection[Any], use_case: UseCase) -> Seen:
    """What a retrain would be made of now."""
    move = ledger.last_move(conn, use_case.name)
    known = (use_case.model_dump_json(), code_revision(), None if move is None else move.id)
    return Seen(label_mark(conn, use_case.name, *known), datetime.now(UTC))


def find_idle(context: LoopContext, kind: str, trigger: str) -> Idle | None:
    """Of a scheduled retrain that has nothing to do, seen by counts and marks before any row is read, what it
    stands on. None: there may be something to learn (`nothing_new`).

    Raises:
        RegistryUnavailable: MLflow does not answer.
        SnapshotError: production's snapshot is not known here.
    """
    if kind != "retrain" or trigger != "schedule":
        return None
    name = context.use_case.name
    with context.connect() as conn:
        seen = seen_now(conn, context.use_case)
        facts = read_production(conn, context.aliases, name)
        if facts is None or facts.problem is not None or facts.snapshot is None:
            return None
        found = _repeated(conn, name, facts, seen)
        if found is None and _nothing_came(conn, context, facts):
            found = find_snapshot(conn, facts.snapshot), NOTHING_CAME, seen
    if found is None:
        return None
    version = context.aliases.version(name, facts.version)
    return Idle(replace(NO_PRODUCTION, version=version), *found)


def _nothing_came(conn: psycopg.Connection[Any], context: LoopContext, facts: ProductionFacts) -> bool:
    now = standing(conn, context.use_case.name, facts)
    return not now.new_labels and now.new_since == TRAINED and not steps.untried_taken_back(context)


def _repeated(
    conn: psycopg.Connection[Any], use_case: str, facts: ProductionFacts, seen: Seen
) -> tuple[Snapshot, str, Seen] | None:
    """What the last retrain learned from, where another would be made of the same and come to the same.

    One of which a challenger could not be made may come to something else the next time.
    """
    run = ended_run(conn, use_case)
    result: Mapping[str, Any] = (None if run is None else run.result) or {}
    before: Mapping[str, Any] = result.get("seen") or {}
    if run is None or run.status != "succeeded" or run.kind != "retrain" or result.get("failures"):
        return None
    if before.get("mark") != seen.mark or before.get("production") != facts.version:
        return None
    at = datetime.fromisoformat(before["at"])
    if abs(seen.at - at) > LONGEST or result["reason"] == NOTHING_CAME:
        return None
    try:
        snapshot = find_snapshot(conn, result["snapshot"])
    except SnapshotError:  # forgotten for its age
        return None
    return snapshot, NOTHING_CHANGED, Seen(seen.mark, at)


def nothing_new(
    kind: str, trigger: str, production: Production, snapshot: Snapshot, *, taken_back: int = 0
) -> str | None:
    """Neither a schedule nor a warm start repeats what production already knows; a person may retrain.

    A first model is asked for by the stack and by flows, each of which has looked before the run was held:
    the one that comes second finds it made.

    Args:
        taken_back: labels that the last run learned from and that were taken back since: what is left of them
            is new to learn from, but to go on from what learned them is not.
    """
    if trigger == "first_model" and production.version is not None:
        return f"no first model is missing any more: version {production.number} is production"
    known = production.known
    if taken_back and kind != "train":
        return None
    if known is None or known.late or snapshot.last_seq > known.last:
        return None
    if trigger == "schedule" or kind == "train":
        if production.was_taken_back:
            return "no label has come since a later version was taken back"
        return NOTHING_CAME
    return None
