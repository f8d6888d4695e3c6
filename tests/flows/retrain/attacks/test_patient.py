"""Attackers with patience: what is chosen comes a little at a time, through many retrains."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.shadows.periods import Period
from store.shadows import read_periods
from tests.flows.retrain.attacks import test_chosen_labels as chosen
from tests.flows.retrain.attacks.test_label_sources import Apples, send, write
from tests.flows.retrain.turns import Orchard, Turn

pytestmark = pytest.mark.slow
PERIODS = 5
DOORS = pytest.mark.parametrize("door", ["http", "file"])


@pytest.fixture
def graded(empty_orchard: Orchard) -> Orchard:
    """With version 1, which is right as often as can be where 17 of 100 apples are graded by chance."""
    made = empty_orchard
    chosen.ingest(made, *chosen.grow(400, seed=1))
    assert made.retrain().outcome == "promoted"
    return made


def grow(rows: int, seed: int) -> Apples:
    weights, _, grades = chosen.grow(rows, seed=seed)
    return list(zip(weights.tolist(), grades.tolist(), strict=True))


def last_period(orchard: Orchard) -> Period:
    with orchard.context.connect() as conn:
        stored = read_periods(conn, orchard.name, newest=1)[0]
    return Period.from_dict(stored.number, stored.last_seq, stored.evidence)


def some(share: float, seed: int) -> NDArray[np.bool_]:
    drawn: NDArray[np.bool_] = np.random.default_rng(seed).random(chosen.ANSWERS) < share
    return drawn


def kept(orchard: Orchard, turn: Turn, before: float) -> None:
    """Nothing was promoted, and what serves is as good as ever."""
    assert turn.outcome != "promoted", turn.decision.reason
    assert chosen.accuracy(orchard) == before


@DOORS
def test_labels_of_one_class_alone_all_of_them_true(graded: Orchard, door: str) -> None:
    """Without the check promoted five times: right 0.67 of the time rather than 0.82."""
    before = chosen.accuracy(graded)
    for place in range(PERIODS):
        good = [(weight, grade) for weight, grade in grow(600, 40 + place) if grade == "good"]
        if door == "file":
            write(graded, "good.csv", good)
        else:
            send(graded, "mallory", good)
        turn = graded.retrain()
        kept(graded, turn, before)
        assert "labels may be selected by class: 0 of " in turn.decision.reason
        assert str(last_period(graded).doubt).startswith("labels may be selected by class: 0 of ")


def test_labels_of_one_class_of_what_was_answered(graded: Orchard) -> None:
    before = chosen.accuracy(graded)
    for place in range(PERIODS):
        answered = chosen.Answered(graded, seed=20 + place)
        answered.label((answered.truth == "good") & some(0.1, place), by="http")
        kept(graded, graded.retrain(), before)
        assert last_period(graded).doubt is not None


@DOORS
def test_labels_of_right_answers_a_period_late(graded: Orchard, door: str) -> None:
    before, waiting = chosen.accuracy(graded), None
    for place in range(PERIODS):
        answered, few = chosen.Answered(graded, seed=20 + place), some(0.12, place)
        answered.label(answered.wrong & few, by=door)
        if waiting is not None:
            waiting[0].label(~waiting[0].wrong & waiting[1], by=door)
        waiting = answered, few
        kept(graded, graded.retrain(), before)


@pytest.mark.parametrize("wrong", [60, 18])
def test_just_as_many_rows_as_make_a_period_most_of_wrong_answers(graded: Orchard, wrong: int) -> None:
    """Retrains are asked for after 60 labels each, so that the attacker says when periods end."""
    before = chosen.accuracy(graded)
    for place in range(PERIODS):
        answered, random = chosen.Answered(graded, seed=20 + place), np.random.default_rng(place)
        mask = np.zeros(chosen.ANSWERS, dtype=np.bool_)
        mask[random.choice(np.flatnonzero(answered.wrong), wrong, replace=False)] = True
        mask[random.choice(np.flatnonzero(~answered.wrong), 60 - wrong, replace=False)] = True
        answered.label(mask, by="http")
        kept(graded, graded.retrain(), before)
        assert last_period(graded).rows == 60


@DOORS
def test_a_thousand_rows_that_differ_in_the_last_digit(graded: Orchard, door: str) -> None:
    """Without the check promoted five times: right 0.76 of the time rather than 0.82."""
    before = chosen.accuracy(graded)
    for place in range(PERIODS):
        lies = [(round(0.52 + 0.02 * place + step * 1e-9, 9), "poor") for step in range(1000)]
        honest = grow(200, 60 + place)
        if door == "file":
            write(graded, "mixed.csv", [*lies, *honest])
        else:
            send(graded, "mallory", lies)
            send(graded, "shop", honest)
        kept(graded, graded.retrain(), before)
        assert last_period(graded).rows <= 210


def test_so_many_lies_of_one_key_that_few_rows_of_others_are_drawn(graded: Orchard) -> None:
    """Of both classes, half of them true, and five times as many as others send."""
    before = chosen.accuracy(graded)
    for place in range(3):
        weights = np.random.default_rng(place).uniform(0.0, 0.5, 900).round(9).tolist()
        send(graded, "mallory", [(weight, "good" if weight > 0.25 else "poor") for weight in weights])
        send(graded, "shop", grow(160, 60 + place))
        kept(graded, graded.retrain(), before)
