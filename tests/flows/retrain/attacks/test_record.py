"""Evidence that somebody chose, period after period: the record of challengers is not led by it either."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from models.shadows.periods import Period
from store.shadows import read_periods
from store.sources.holding import tell_source
from tests.flows.retrain.attacks import test_chosen_evidence as evidence
from tests.flows.retrain.attacks import test_chosen_labels as chosen
from tests.flows.retrain.attacks.test_label_sources import (
    EDGE,
    FLIPPED_FROM,
    apples,
    send,
    true_accuracy,
)
from tests.flows.retrain.turns import Orchard, Turn

pytestmark = pytest.mark.slow
DRIFT = (0.5, 0.48, 0.46, 0.44, 0.42)


@pytest.fixture
def orchard(empty_orchard: Orchard) -> Orchard:
    """With version 1, which learned that apples above 0.5 are good."""
    made = empty_orchard
    made.take_in(400, edge=EDGE)
    assert made.retrain().outcome == "promoted"
    return made


def last_period(orchard: Orchard) -> Period:
    with orchard.context.connect() as conn:
        stored = read_periods(conn, orchard.name, newest=1)[0]
    return Period.from_dict(stored.number, stored.last_seq, stored.evidence)


@pytest.mark.parametrize("names", [("mallory",), ("mallory/1", "mallory/2", "mallory/3")])
@pytest.mark.parametrize("alone", [False, True])
def test_one_source_that_flips_a_fifth_period_after_period(
    orchard: Orchard, names: tuple[str, ...], alone: bool
) -> None:
    """Of apples that nobody else labels; in periods of its own too."""
    for place in range(5):
        lies = [(weight, "good") for weight, _ in apples(60, 100 + place, FLIPPED_FROM, EDGE)]
        if not alone or place % 2 == 0:
            send(orchard, "shop", apples(200, 50 + place))
        if not alone or place % 2 == 1:
            for number, name in enumerate(names):
                send(orchard, name, lies[number :: len(names)])
        turn = orchard.retrain()
        assert turn.decision.outcome != "record_beats_production"
        assert true_accuracy(orchard) > 0.97
    record = turn.decision.record
    assert record is not None
    if alone:
        assert record.gain < 0, "periods without a poor apple are doubted"
    else:
        assert "mallory" in record.carried_by


def test_what_a_source_that_is_held_back_by_now_said_before_does_not_count(orchard: Orchard) -> None:
    for place in range(3):
        send(orchard, "shop", apples(200, 50 + place))
        send(orchard, "mallory", [(weight, "good") for weight, _ in apples(60, 90 + place, 0.3, EDGE)])
        told = orchard.retrain().decision.record
    assert told is not None
    with orchard.context.connect() as conn:
        tell_source(conn, orchard.context.use_case, "mallory", "hold", "ann")
    send(orchard, "shop", apples(200, 60))
    turn = orchard.retrain()
    record = turn.decision.record
    assert record is not None
    assert record.gain < 0 < told.gain
    assert "mallory" not in record.carried_by


@pytest.fixture
def graded(empty_orchard: Orchard) -> Orchard:
    """With version 1, which is right as often as can be where 17 of 100 apples are graded by chance."""
    made = empty_orchard
    chosen.ingest(made, *chosen.grow(400, seed=1))
    assert made.retrain().outcome == "promoted"
    return made


def test_periods_of_chosen_labels_prove_nothing(graded: Orchard) -> None:
    """Labels of the wrong answers and of few right ones, four times."""
    before = chosen.accuracy(graded)
    for place in range(4):
        answered = chosen.Answered(graded, seed=20 + place)
        answered.label(answered.wrong | answered.lucky, by="http")
        turn = graded.retrain()
        assert turn.outcome != "promoted"
        assert turn.decision.record is None
        assert str(last_period(graded).doubt).startswith("labels may be selected: ")
    assert chosen.accuracy(graded) == before


def test_a_period_of_chosen_labels_among_many_others_is_doubted_by_itself(graded: Orchard) -> None:
    """Few enough that all labels since production was made do not show it."""
    graded = slow_to_move(graded)
    for place in range(3):
        answered = chosen.Answered(graded, seed=30 + place)
        answered.label(np.random.default_rng(place).random(chosen.ANSWERS) < 0.3, by="http")
        graded.retrain()
        assert last_period(graded).doubt is None
    answered = chosen.Answered(graded, seed=40)
    some = np.random.default_rng(7).random(chosen.ANSWERS) < 0.3
    answered.label((answered.wrong | answered.lucky) & some, by="http")
    graded.retrain()
    assert str(last_period(graded).doubt).startswith("labels may be selected: ")


def slow_to_move(orchard: Orchard) -> Orchard:
    """The same, where the record alone moves nothing."""
    gate = orchard.context.use_case.gate.model_dump()
    return orchard.changed(gate=gate | {"shadows": gate["shadows"] | {"cost": 1.0}})


def drifted(orchard: Orchard) -> Turn:
    """As a slow drift promotes by the record."""
    for place, edge in enumerate(DRIFT):
        orchard.take_in(150, edge=edge, seed=10 + place)
        turn = orchard.retrain()
        if turn.outcome == "promoted":
            return turn
    raise AssertionError("nothing was promoted")


def test_a_version_that_was_taken_back_does_not_come_back_by_the_old_record(orchard: Orchard) -> None:
    promoted = drifted(orchard)
    assert promoted.decision.outcome == "record_beats_production"
    orchard.roll_back()
    assert orchard.registry.alias_version(orchard.name, "production") == 1
    assert orchard.why_skipped() is not None
    # Too few for a period, so that the record has nothing but what came before.
    number = last_period(orchard).number
    for place in range(2):
        orchard.take_in(20, edge=EDGE, seed=71 + place)
        turn = orchard.retrain()
        assert turn.outcome != "promoted"
        assert turn.decision.record is None
        assert turn.evidence.standing.since == number == last_period(orchard).number
    # What comes from now on counts, and only that.
    orchard.take_in(150, edge=EDGE, seed=70)
    turn = orchard.retrain()
    assert turn.outcome != "promoted"


def numbered(orchard: Orchard) -> Orchard:
    return orchard.changed(record=evidence.RECORD)


def test_noise_that_is_repeated_under_other_ids_counts_once(orchard: Orchard) -> None:
    """Sent five times it would outweigh what is true of the other apples."""
    orchard = numbered(orchard)
    evidence.by_file(orchard, evidence.apples(400, seed=1))
    orchard.retrain()
    before = evidence.right(orchard)
    for place in range(3):
        noise = evidence.apples(40, seed=20 + place, flip=0.5, name="noise")
        repeated = [row | {"id": f"{row['id']}-{number}"} for number in range(5) for row in noise]
        evidence.by_file(orchard, [*evidence.apples(100, seed=40 + place), *repeated])
        turn = orchard.retrain()
        assert turn.decision.outcome != "record_beats_production"
        assert last_period(orchard).rows == 140
    assert evidence.right(orchard) >= before


def test_rows_that_came_before_are_no_new_evidence(orchard: Orchard) -> None:
    """Neither what was learned nor what was held out, whatever id it has now."""
    orchard = numbered(orchard)
    rows = evidence.apples(300, seed=1)
    evidence.by_file(orchard, rows)
    assert orchard.retrain().evidence.record.ends_now
    for number in range(2):
        evidence.by_http(orchard, evidence.again(rows, 0.9, f"again{number}"))
        turn = orchard.retrain()
        assert turn.outcome != "promoted"
        assert not turn.evidence.record.ends_now


def test_production_that_was_deleted_is_not_replaced_by_the_record(orchard: Orchard) -> None:
    waiting = slow_to_move(orchard)
    for place, edge in enumerate(DRIFT):
        waiting.take_in(150, edge=edge, seed=10 + place)
        assert waiting.retrain().outcome != "promoted"
    orchard.registry.delete(orchard.registry.version(orchard.name, 1))
    shutil.rmtree(orchard.kept(1))
    turn = orchard.retrain()
    assert (turn.outcome, turn.decision.outcome) == ("held_back", "production_gone")
    assert turn.decision.record is not None  # told, and decides nothing


def test_production_that_reads_a_field_that_was_dropped_is_not_replaced_by_the_record(
    orchard: Orchard,
) -> None:
    waiting = slow_to_move(orchard)
    for place, edge in enumerate(DRIFT[:4]):
        waiting.take_in(150, edge=edge, seed=10 + place)
        assert waiting.retrain().outcome != "promoted"
    less = orchard.changed(record={"fields": [{"name": "weight", "type": "number"}]})
    less.take_in(150, edge=DRIFT[-1], seed=60)
    decision = less.retrain().decision
    assert decision.outcome in ("beats_majority", "below_majority", "majority_not_proven")
    assert decision.record is not None  # told, and decides nothing


def test_asking_again_and_again_without_a_label_moves_nothing_and_costs_nothing(orchard: Orchard) -> None:
    orchard.take_in(150, edge=EDGE, seed=2)
    first = orchard.retrain()
    assert first.outcome != "promoted"
    number = last_period(orchard).number
    for _ in range(8):
        again = orchard.retrain()
        assert again.outcome != "promoted"
        assert again.evidence.tries == 1
        assert again.evidence.record == first.evidence.record or not again.evidence.record.ends_now
    assert last_period(orchard).number == number
    assert drifted(orchard).outcome == "promoted", "the world moves, and what is right is not lost"
