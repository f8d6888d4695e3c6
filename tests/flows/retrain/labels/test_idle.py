"""A scheduled retrain for which nothing has come ends before any row is read; nothing else does."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flows.retrain.held_run import holding_run
from flows.retrain.idle import NOTHING_CAME, NOTHING_CHANGED, Idle, find_idle
from flows.retrain.sequence import Conduct, Ground, prepare, skipped
from store.feedback.revisions.taking_back import LabelSelection, take_back
from store.runs.rows import find_run
from store.snapshots.restoring import open_snapshot
from store.snapshots.uses import TRAIN
from tests.flows.retrain.turns import Orchard

pytestmark = pytest.mark.timeout(300)


def idle(orchard: Orchard, kind: str = "retrain", trigger: str = "schedule") -> Idle | None:
    return find_idle(orchard.context, kind, trigger)


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
    assert idle(empty_orchard) is None, "there is no production"
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
    assert idle(empty_orchard) is not None
    assert idle(empty_orchard, kind, trigger) is None


def test_new_labels_and_labels_that_were_taken_back_are_something_to_do(empty_orchard: Orchard) -> None:
    orchard = empty_orchard
    orchard.take_in(600, edge=0.5)
    orchard.retrain()
    found = idle(orchard)
    assert found is not None
    context = orchard.context
    with context.connect() as conn:
        frame = open_snapshot(conn, context.use_case, context.settings.home, found.snapshot.digest, use=TRAIN)
        first = str(frame.identities[0])
        take_back(conn, orchard.name, LabelSelection((first,)), actor="ann", reason="absurd")
    assert idle(orchard) is None
    ground(orchard, "schedule")
    orchard.take_in(5, edge=0.5, seed=2)
    assert idle(orchard) is None


def unbeaten(orchard: Orchard) -> Orchard:
    """With a retrain behind it that learned what production had not, and promoted nothing."""
    orchard.take_in(600, edge=0.5)
    orchard.retrain()
    orchard.take_in(40, edge=0.5, seed=3)
    assert orchard.retrain().outcome not in ("promoted", "skipped")
    return orchard


def test_a_schedule_does_not_repeat_what_promoted_nothing(empty_orchard: Orchard) -> None:
    orchard = unbeaten(empty_orchard)
    found, conduct = ground(orchard, "schedule")
    assert found.missing == NOTHING_CHANGED
    assert {"snapshot", "production"}.isdisjoint(conduct.seconds)
    again, _ = ground(orchard, "schedule")
    assert again.missing == NOTHING_CHANGED
    assert again.seen == found.seen, "it counts from when something was done"
    assert idle(orchard, "retrain", "person") is None, "a person may"
    changed = orchard.changed(training={"seed": 5})
    assert idle(changed) is None, "another configuration may come to something else"
    orchard.take_in(1, edge=0.5, seed=4)
    assert idle(orchard) is None, "a label has come"


def test_what_promoted_nothing_is_repeated_after_a_while(
    empty_orchard: Orchard, monkeypatch: pytest.MonkeyPatch
) -> None:
    orchard = unbeaten(empty_orchard)
    assert idle(orchard) is not None
    monkeypatch.setattr("flows.retrain.idle.LONGEST", timedelta(0))
    assert idle(orchard) is None


def test_a_retrain_with_a_challenger_that_failed_is_repeated(empty_orchard: Orchard) -> None:
    orchard = unbeaten(empty_orchard)
    with orchard.context.connect() as conn:
        conn.execute(
            """UPDATE run SET result = jsonb_set(result, '{failures}', '{"full": "no memory"}')
            WHERE id = (SELECT id FROM run WHERE use_case = %s ORDER BY finished_at DESC LIMIT 1)""",
            (orchard.name,),
        )
    assert idle(orchard) is None
