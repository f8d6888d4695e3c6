"""A source that is alone with what it says, or against everybody, promotes nothing by itself."""

from __future__ import annotations

import pytest

from store.ingest.files import ingest_file
from store.sources.holding import tell_source
from tests.flows.retrain.attacks.test_label_sources import (
    EDGE,
    FLIPPED_FROM,
    Apples,
    apples,
    true_accuracy,
)
from tests.flows.retrain.turns import Orchard, Turn

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def orchard(empty_orchard: Orchard) -> Orchard:
    """With version 1, which learned from 400 apples of one shop, whose files name who says so."""
    made = empty_orchard
    record = made.context.use_case.record.model_dump() | {"source_column": "who"}
    made = made.changed(record=record)
    write(made, "shop", apples(400, 1))
    assert made.retrain().outcome == "promoted"
    return made


def write(orchard: Orchard, who: str, said: Apples) -> None:
    path = orchard.context.settings.home / f"{who}.csv"
    lines = [f"{weight},red,{label},{who}" for weight, label in said]
    path.write_text("\n".join(["weight,colour,grade,who", *lines]) + "\n", encoding="utf-8")
    with orchard.context.connect() as conn:
        ingest_file(conn, orchard.context.use_case, path)


def inverted(said: Apples) -> Apples:
    return [(weight, "poor" if label == "good" else "good") for weight, label in said]


def held_back(turn: Turn, who: str) -> bool:
    told = turn.decision.outcome == "one_source" and f"file/{who}" in turn.decision.reason
    return turn.outcome == "held_back" and told


def test_a_newcomer_who_is_alone_turns_nothing_round(orchard: Orchard) -> None:
    write(orchard, "shop", apples(200, 2))
    assert orchard.retrain().outcome != "promoted"
    for seed in (3, 4):
        write(orchard, "stranger", inverted(apples(300, seed)))
        turn = orchard.retrain()
        assert turn.outcome != "promoted", turn.decision.reason
    assert held_back(turn, "stranger"), turn.decision.reason
    assert true_accuracy(orchard) > 0.97


@pytest.mark.slow
def test_a_newcomer_is_asked_about_where_nobody_else_has_said_anything_since(orchard: Orchard) -> None:
    write(orchard, "stranger", inverted(apples(400, 3)))
    turn = orchard.retrain()
    assert held_back(turn, "stranger"), turn.decision.reason
    assert "most of what production learned is of others" in turn.decision.reason
    assert true_accuracy(orchard) > 0.97
    with orchard.context.connect() as conn:
        tell_source(conn, orchard.context.use_case, "file/stranger", "release", "ann")
    write(orchard, "stranger", inverted(apples(50, 4)))
    assert orchard.retrain().outcome == "promoted", "a person has looked"


@pytest.mark.slow
def test_those_whom_production_learned_from_may_tell_of_a_turn_alone(orchard: Orchard) -> None:
    write(orchard, "shop", inverted(apples(600, 3)))
    assert orchard.retrain().outcome == "promoted"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_who_flips_what_others_have_said_little_of_needs_them(orchard: Orchard, seed: int) -> None:
    """60 rows of 260, whatever rows are held out."""
    with orchard.context.connect() as conn:
        conn.execute("UPDATE draw_secret SET secret = %s", (f"another {seed}",))
    write(orchard, "shop", apples(200, 10 + seed))
    write(orchard, "stranger", [(weight, "good") for weight, _ in apples(60, 30 + seed, FLIPPED_FROM, EDGE)])
    turn = orchard.retrain()
    assert turn.outcome != "promoted", turn.decision.reason
    assert true_accuracy(orchard) > 0.97


@pytest.mark.slow
def test_a_turn_that_two_tell_of_is_promoted(orchard: Orchard) -> None:
    both = inverted(apples(600, 3))
    write(orchard, "shop", both[:300])
    write(orchard, "stranger", both[300:])
    assert orchard.retrain().outcome == "promoted"
    assert true_accuracy(orchard) < 0.2
