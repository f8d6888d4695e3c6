"""Retrains after labels were taken back: what they learn without, what they say, which are skipped."""

from __future__ import annotations

import pytest

from flows.retrain import steps
from flows.retrain.idle import nothing_new
from flows.retrain.production import find_production
from models.production.tags import SNAPSHOT_TAG
from store.feedback.revisions.taking_back import LabelSelection, take_back
from store.snapshots.index import find_snapshot
from store.snapshots.restoring import open_snapshot
from store.snapshots.taken_back import TakenBack, count_taken_back
from store.snapshots.uses import TRAIN
from tests.flows.retrain.turns import Orchard

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def orchard(empty_orchard: Orchard) -> Orchard:
    """With version 1, which learned that apples above 0.5 are good."""
    made = empty_orchard
    made.take_in(400, edge=0.5)
    return made


def learned(orchard: Orchard, rows: int) -> list[str]:
    """Identities of so many rows that the newest snapshot has to learn from."""
    with orchard.context.connect() as conn:
        row = conn.execute("SELECT digest FROM snapshot ORDER BY created_at DESC LIMIT 1").fetchone()
        assert row is not None
        context = orchard.context
        frame = open_snapshot(conn, context.use_case, context.settings.home, row[0], use=TRAIN)
    return [str(name) for name in frame.identities[:rows]]


def forget(orchard: Orchard, names: list[str]) -> None:
    with orchard.context.connect() as conn:
        selection = LabelSelection(tuple(names))
        take_back(conn, orchard.name, selection, actor="ann", reason="absurd")


def test_while_a_retrain_runs_it_goes_on_with_what_it_has_and_its_version_says_so(orchard: Orchard) -> None:
    absurd: list[str] = []

    def meanwhile(step: str) -> None:
        if step == "train_all":
            absurd.extend(learned(orchard, 3))
            forget(orchard, absurd)

    turn = orchard.retrain(before=meanwhile)
    assert (turn.outcome, len(absurd)) == ("promoted", 3)
    production = find_production(orchard.context)
    assert production.version is not None
    digest = production.version.tags[SNAPSHOT_TAG]
    with orchard.context.connect() as conn:
        assert count_taken_back(conn, digest) == TakenBack(0, 3, 0)
        taught = find_snapshot(conn, digest)
    assert production.learned.holds(absurd).all(), "nothing is judged on it under another label"
    after = steps.snapshot_rows(orchard.context, production)
    assert (after.rows, after.taken_back) == (taught.rows - 3, 3)
    with orchard.context.connect() as conn:
        home = orchard.context.settings.home
        frame = open_snapshot(conn, orchard.context.use_case, home, after.digest)
    assert not set(absurd) & set(frame.identities)
    assert "3 labels were taken back since the previous snapshot, and left out" in after.warnings


def test_what_is_not_skipped_for_want_of_new_labels(orchard: Orchard) -> None:
    orchard.retrain()
    context, production = orchard.context, find_production(orchard.context)
    snapshot = steps.snapshot_rows(context, production)
    told = "no label has come since production was trained"
    assert steps.untried_taken_back(context) == 0
    assert nothing_new("retrain", "schedule", production, snapshot) == told
    forget(orchard, learned(orchard, 2))
    assert steps.untried_taken_back(context) == 2
    snapshot = steps.snapshot_rows(context, production)
    skipped = {
        (kind, trigger): nothing_new(kind, trigger, production, snapshot, taken_back=2)
        for kind, trigger in (("retrain", "schedule"), ("retrain", "person"), ("train", "person"))
    }
    assert skipped == {
        ("retrain", "schedule"): None, ("retrain", "person"): None, ("train", "person"): told,
    }  # fmt: skip
    with context.connect() as conn:  # a run that has tried it, and promoted nothing
        conn.execute(
            "UPDATE run SET result = jsonb_set(result, '{snapshot}', to_jsonb(%s::text))", (snapshot.digest,)
        )
    assert steps.untried_taken_back(context) == 0
    assert nothing_new("retrain", "schedule", production, snapshot, taken_back=0) == told
