"""Evidence that somebody chose: labels sent twice, or in times and orders of a caller, given to the loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import numpy as np
import pytest

from configs.schema import UseCase
from flows.retrain import steps
from flows.retrain.production import find_production
from store.feedback.insertion import add_feedback
from store.feedback.sources import OPEN
from store.ingest.files import ingest_file
from store.ingest.item_retry import prepare_items
from store.snapshots.frames import Frame
from store.snapshots.restoring import open_snapshot
from tests.flows.retrain.turns import Orchard, Turn

pytestmark = pytest.mark.timeout(300)
NUMBERS = count(1)
Row = dict[str, Any]
"""A labelled record: `id`, `at`, `customer` and fields, as a file has them."""
Door = Callable[[Orchard, Sequence[Row]], None]


def by_file(orchard: Orchard, rows: Sequence[Row]) -> None:
    """As `ratchet ingest` takes them."""
    path = orchard.context.settings.home / f"rows-{next(NUMBERS)}.csv"
    columns = list(rows[0])
    lines = [",".join(str(row[name]) for name in columns) for row in rows]
    path.write_text("\n".join([",".join(columns), *lines]) + "\n", encoding="utf-8")
    with orchard.context.connect() as conn:
        assert ingest_file(conn, orchard.context.use_case, path).quarantined == 0


def by_http(orchard: Orchard, rows: Sequence[Row]) -> None:
    """As the service takes items with a record."""
    items: list[tuple[int, dict[str, Any]]] = []
    for row in rows:
        record = {name: value for name, value in row.items() if name not in ("at", "grade")}
        items.append((len(items), {"record": record, "label": row["grade"], "event_time": row.get("at")}))
    with orchard.context.connect() as conn:
        batch, _, refused = prepare_items(conn, orchard.context.use_case, "http", OPEN, items)
        assert refused == {}
        add_feedback(conn, orchard.context.use_case.name, batch)
        conn.commit()


DOORS = pytest.mark.parametrize("door", [pytest.param(by_file, marks=pytest.mark.slow), by_http])


@pytest.fixture
def orchard(empty_orchard: Orchard) -> Orchard:
    """With nothing learned yet; its trees are deep enough to remember what they have been shown."""
    made = empty_orchard
    model = {"estimator": "catboost", "params": {"iterations": 150, "depth": 8, "learning_rate": 0.3}}
    return changed(made, model=model, record=RECORD)


RECORD = {
    "id_column": "id",
    "time_column": "at",
    "fields": [
        {"name": "weight", "type": "number"},
        {"name": "sugar", "type": "number"},
        {"name": "colour", "type": "category", "categories": ["red", "green"]},
    ],
}


def changed(orchard: Orchard, **changes: Any) -> Orchard:
    use_case = UseCase.model_validate(orchard.context.use_case.model_dump() | changes)
    return replace(orchard, context=replace(orchard.context, use_case=use_case))


def apples(number: int, *, seed: int = 1, name: str = "a", flip: float = 0.0) -> list[Row]:
    """Apples that are good above a weight, seen in the last days; some labels are flipped."""
    random = np.random.default_rng(seed)
    first = datetime.now(UTC) - timedelta(days=3)
    rows = []
    for place in range(number):
        weight = round(float(random.uniform()), 6)
        is_good = (weight > 0.5) != (random.uniform() < flip)
        at = first + timedelta(days=3) * (place / number)
        rows.append(
            {
                "id": f"{name}-{seed}-{place}",
                "at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "weight": weight,
                "sugar": round(float(random.uniform()), 6),
                "colour": str(random.choice(["red", "green"])),
                "grade": "good" if is_good else "poor",
            }
        )
    return rows


def again(rows: Sequence[Row], share: float, name: str = "twice") -> list[Row]:
    """A share of the rows under other ids, with the same labels."""
    picked = np.random.default_rng(5).choice(len(rows), int(share * len(rows)), replace=False)
    return [rows[place] | {"id": f"{name}-{place}"} for place in picked.tolist()]


def frame_of(orchard: Orchard) -> Frame:
    """What the next retrain would learn from and be judged on."""
    context = orchard.context
    snapshot = steps.snapshot_rows(context, find_production(context))
    with context.connect() as conn:
        return open_snapshot(conn, context.use_case, context.settings.home, snapshot.digest)


def above_chance(turn: Turn) -> float:
    """By how many standard errors a challenger was judged to be better than a coin."""
    assert turn.decision.challenger is not None
    return (turn.decision.challenger - 0.5) / float(np.sqrt(0.25 / turn.decision.rows))


@DOORS
def test_labels_of_chance_sent_twice_are_judged_as_chance(orchard: Orchard, door: Door) -> None:
    rows = apples(700, flip=0.5)
    twice = again(rows, 0.3)
    mixed = [*rows, *twice]
    order = np.random.default_rng(9).permutation(len(mixed))
    door(orchard, [mixed[place] for place in order])
    first = orchard.retrain()
    assert above_chance(first) < 3
    # What production has learned comes again under other ids, and among it what is new.
    door(orchard, [*again(rows, 0.5, "thrice"), *apples(120, flip=0.5, seed=8)])
    frame = frame_of(orchard)
    assert len(frame.holdout) >= 50
    learned = set(frame.train.columns["weight"].tolist())
    assert learned & set(frame.holdout.columns["weight"].tolist()) == set()
    second = orchard.retrain()
    assert above_chance(second) < 3
    assert second.outcome != "promoted"


def right(orchard: Orchard) -> float:
    """Share of new apples that production answers rightly."""
    predictor = find_production(orchard.context).predictor
    assert predictor is not None
    rows = apples(500, seed=77)
    columns = {name: np.array([row[name] for row in rows]) for name in ("weight", "sugar")}
    colours = np.array([row["colour"] for row in rows], dtype=object)
    answers = predictor.run(predictor.encode(columns | {"colour": colours})).argmax(axis=1)
    truth = [predictor.classes.index(row["grade"]) for row in rows]
    return float((answers == np.array(truth)).mean())


@pytest.mark.slow
@DOORS
@pytest.mark.parametrize("dated", ["later", "as they come"])
def test_a_caller_who_chooses_times_and_order_does_not_choose_what_is_judged(
    orchard: Orchard, door: Door, dated: str
) -> None:
    """The world stays as it is; somebody says the opposite of 300 apples, and says it last."""
    training = orchard.context.use_case.training.model_dump()
    windows = [{"name": "full"}, {"name": "newest", "window": 100}]
    orchard = changed(orchard, training=training | {"challengers": windows})
    door(orchard, apples(680, seed=2))
    assert orchard.retrain().outcome == "promoted"
    before = right(orchard)
    door(orchard, apples(680, seed=3))
    wrong = apples(300, seed=4, name="wrong", flip=1.0)
    if dated == "later":
        soon = (datetime.now(UTC) + timedelta(hours=20)).strftime("%Y-%m-%dT%H:%M:%SZ")
        wrong = [row | {"at": soon} for row in wrong]
    door(orchard, wrong)
    frame = frame_of(orchard)
    chosen = np.array(["wrong" in name for name in frame.holdout.identities])
    assert 0.1 < chosen.mean() < 0.5, "about three in ten of what came, and so of what is judged on"
    turn = orchard.retrain()
    assert turn.outcome != "promoted"
    assert right(orchard) == before


def test_rows_of_one_group_are_on_one_side_and_one_that_was_learned_from_is_never_judged_on(
    orchard: Orchard,
) -> None:
    grouped = changed(orchard, record=RECORD | {"group": "customer"})
    rows = [row | {"customer": f"c{place % 150}"} for place, row in enumerate(apples(600))]
    by_file(grouped, rows)
    frame = frame_of(grouped)
    customer = {f"i:{row['id']}": row["customer"] for row in rows}
    learned = {customer[name] for name in frame.train.identities}
    judged = {customer[name] for name in frame.holdout.identities}
    assert learned & judged == set()
    assert len(frame.holdout) >= 100
    assert grouped.retrain().outcome == "promoted"
    more = [row | {"customer": f"c{place}"} for place, row in enumerate(apples(300, seed=6, name="more"))]
    by_http(grouped, more)
    customer |= {f"i:{row['id']}": row["customer"] for row in more}
    frame = frame_of(grouped)
    judged = {customer[name] for name in frame.holdout.identities}
    assert judged
    assert judged & learned == set()


def test_a_label_that_was_corrected_is_taught_warm_and_not_judged_on(orchard: Orchard) -> None:
    rows = apples(400)
    by_file(orchard, rows)
    assert orchard.retrain().outcome == "promoted"
    production = find_production(orchard.context)
    names = [f"i:{row['id']}" for row in rows]
    learned = {name for name, held in zip(names, production.learned.holds(names), strict=True) if held}
    taught = next(row for row in rows if f"i:{row['id']}" in learned)
    other = "poor" if taught["grade"] == "good" else "good"
    later = (datetime.now(UTC) + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    by_file(orchard, [taught | {"grade": other, "at": later}, *apples(40, seed=9, name="new")])
    frame = frame_of(orchard)
    fresh = ~production.learned.holds_truth(frame.train.seq)
    fresh_names = set(frame.train.identities[fresh].tolist())
    assert f"i:{taught['id']}" in fresh_names
    assert {name for name in fresh_names if "new" not in name} == {f"i:{taught['id']}"} | (
        {f"i:{row['id']}" for row in rows} - learned
    ) & set(frame.train.identities)
    assert f"i:{taught['id']}" not in set(frame.holdout.identities)
