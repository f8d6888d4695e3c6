"""A version that was taken back: what made it does not make it or its like again, what comes after may."""

from __future__ import annotations

import pytest

from tests.flows.retrain.attacks.test_chosen_evidence import (
    DOORS,
    RECORD,
    Door,
    Row,
    again,
    apples,
    by_file,
    by_http,
)
from tests.flows.retrain.turns import Orchard

pytestmark = pytest.mark.timeout(300)
TURNED = 0.3
"""Apples above this are said to be good by whatever made the version that is taken back."""


def turned(number: int, seed: int) -> list[Row]:
    """Apples of a world that has changed, or of somebody who says so."""
    rows = apples(number, seed=seed, name="turned")
    return [row | {"grade": "good" if row["weight"] > TURNED else "poor"} for row in rows]


@pytest.fixture
def orchard(empty_orchard: Orchard) -> Orchard:
    """Version 2 won by 1,200 rows, and was taken back: version 1 serves."""
    made = empty_orchard
    made = made.changed(record=RECORD)
    by_file(made, apples(600))
    assert made.retrain().outcome == "promoted"
    by_file(made, turned(1200, seed=2))
    decision = made.retrain().decision
    assert decision.outcome == "beats_production", decision.reason
    made.roll_back()
    return made


def production(orchard: Orchard) -> int | None:
    return orchard.registry.alias_version(orchard.name, "production")


@DOORS
def test_the_rows_that_made_it_do_not_make_its_like_again(orchard: Orchard, door: Door) -> None:
    reason = orchard.why_skipped()
    assert reason is not None
    assert "no record has come since a version was taken back" in reason
    door(orchard, again(turned(600, seed=2), 0.5))
    assert orchard.why_skipped() == reason, "the same under other ids"
    door(orchard, apples(120, seed=3, name="new"))
    turn = orchard.retrain()
    assert turn.outcome != "promoted"
    assert turn.decision.rows <= 60, "of the new ones alone"
    assert production(orchard) == 1


@pytest.mark.slow
def test_what_came_while_it_served_does_not_bring_it_back_after_other_retrains(orchard: Orchard) -> None:
    orchard.roll_back(to=2)
    by_http(orchard, turned(30, seed=5))
    assert orchard.retrain().outcome != "promoted"
    orchard.roll_back(to=1)
    assert "no record has come since a version was taken back" in (orchard.why_skipped() or "")
    assert production(orchard) == 1


@pytest.mark.slow
@DOORS
def test_fresh_rows_that_prove_it_bring_it_back(orchard: Orchard, door: Door) -> None:
    door(orchard, turned(300, seed=4))
    turn = orchard.retrain()
    assert (turn.outcome, turn.decision.outcome) == ("promoted", "beats_production")
    assert production(orchard) == turn.version


@pytest.mark.slow
def test_what_was_promoted_since_is_all_that_the_next_retrain_looks_back_to(orchard: Orchard) -> None:
    by_http(orchard, turned(300, seed=4))
    assert orchard.retrain().outcome == "promoted"
    by_http(orchard, apples(300, seed=6, name="back"))
    turn = orchard.retrain()
    assert turn.decision.rows >= 90
