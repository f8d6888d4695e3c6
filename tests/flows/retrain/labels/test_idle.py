"""A scheduled retrain for which nothing has come ends before any row is read; nothing else does."""

from __future__ import annotations

import pytest

from flows.retrain.held_run import holding_run
from flows.retrain.sequence import NOTHING_CAME, Conduct, Ground, find_idle, prepare, skipped
from store.feedback.revisions.taking_back import LabelSelection, take_back
from store.runs.rows import find_run
from store.snapshots.restoring import open_snapshot
from store.snapshots.uses import TRAIN
from tests.flows.retrain.turns import Orchard

pytestmark = pytest.mark.timeout(300)


def ground(orchard: Orchard, trigger: str) -> tuple[Ground, Conduct]:
    context = orchard.context
    with holding_run(
        context.database_url, orchard.name,
        trigger=trigger, run_id=None, flow_run_id=None, on_progress=lambda _said: None,
    ) as held:  # fmt: skip
        conduct = Conduct(held)
        found = prepare(context, conduct, trigger)
        if found.missing is not None:
            held.result.update(skipped(context, conduct, found).as_dict())
        return found, conduct


def test_a_schedule_with_nothing_new_reads_no_row(empty_orchard: Orchard) -> None:
    assert find_idle(empty_orchard.context, "retrain", "schedule") is None, "there is no production"
    empty_orchard.take_in(600, edge=0.5)
    assert empty_orchard.retrain().outcome == "promoted"
    found, conduct = ground(empty_orchard, "schedule")
    assert found.missing == NOTHING_CAME
    assert found.production.number == 1
    assert {"snapshot", "production"}.isdisjoint(conduct.seconds)
    with empty_orchard.context.connect() as conn:
        run = find_run(conn, conduct.held.run_id)
    assert run is not None and run.result is not None
    told = {name: run.result[name] for name in ("outcome", "reason", "production_before", "snapshot")}
    assert told == {
        "outcome": "skipped", "reason": NOTHING_CAME, "production_before": 1,
        "snapshot": found.snapshot.digest,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "trigger"), [("retrain", "person"), ("retrain", "labels"), ("train", "schedule")]
)
def test_nobody_else_is_sent_away(empty_orchard: Orchard, kind: str, trigger: str) -> None:
    empty_orchard.take_in(600, edge=0.5)
    empty_orchard.retrain()
    assert find_idle(empty_orchard.context, "retrain", "schedule") is not None
    assert find_idle(empty_orchard.context, kind, trigger) is None


def test_new_labels_and_labels_that_were_taken_back_are_something_to_do(empty_orchard: Orchard) -> None:
    orchard = empty_orchard
    orchard.take_in(600, edge=0.5)
    orchard.retrain()
    idle = find_idle(orchard.context, "retrain", "schedule")
    assert idle is not None
    context = orchard.context
    with context.connect() as conn:
        frame = open_snapshot(conn, context.use_case, context.settings.home, idle[1].digest, use=TRAIN)
        first = str(frame.identities[0])
        take_back(conn, orchard.name, LabelSelection((first,)), actor="ann", reason="absurd")
    assert find_idle(orchard.context, "retrain", "schedule") is None
    ground(orchard, "schedule")
    orchard.take_in(5, edge=0.5, seed=2)
    assert find_idle(orchard.context, "retrain", "schedule") is None
