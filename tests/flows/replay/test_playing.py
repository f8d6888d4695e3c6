"""How policies are played and what is counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from flows.replay.fits import Wanted
from flows.replay.playing import Model, Stage, play
from flows.replay.policies import FULL, Always, Bound, Never
from tests.flows.replay.worlds import PERIOD, stage, world


@dataclass
class Noting(Never):
    """Notes what it is asked; serves the first model."""

    asked: list[tuple[int, int]] = field(default_factory=list)

    def next(self, stage: Stage, period: int, production: Model) -> Model | None:
        del production
        self.asked.append((period, stage.known(period)))
        return None


@dataclass
class Unlucky(Never):
    """Serves one that learned the contrary, once."""

    at: int = 3

    def next(self, stage: Stage, period: int, production: Model) -> Model | None:
        del production
        return stage.fit(Wanted(FULL, np.arange(600, 800)), 0) if period == self.at else None


@pytest.mark.parametrize(("delay", "known"), [(0, 3 * PERIOD), (1, 2 * PERIOD), (2, PERIOD)])
def test_a_policy_sees_only_labels_that_have_come(tmp_path: Path, delay: int, known: int) -> None:
    policy = Noting()
    first = 2 if delay == 0 else 3
    play(stage(world(6), tmp_path, first=first, delay=delay), policy)
    assert dict(policy.asked).get(2, known) == known
    assert [period for period, _ in policy.asked] == list(range(first, 5))


def test_every_period_after_the_first_ones_is_answered_before_its_labels_come(tmp_path: Path) -> None:
    played = play(stage(world(6, turns_at=4), tmp_path), Never())
    assert len(played.by_period) == 4
    assert min(played.by_period[:2]) > 0.9
    assert max(played.by_period[2:]) < 0.1
    assert played.accuracy == pytest.approx(np.mean(played.by_period))
    assert (played.promotions, played.retrains) == (0, 0)


def test_one_that_learns_anew_follows_a_turn(tmp_path: Path) -> None:
    turned = world(9, turns_at=4)
    window = play(stage(turned, tmp_path), Always(window=2))
    full = play(stage(turned, tmp_path), Always())
    never = play(stage(turned, tmp_path), Never())
    assert window.accuracy > full.accuracy > never.accuracy
    assert window.promotions == len(window.by_period) - 1 == window.retrains
    assert window.promoted_at == tuple(range(1, 7))


def test_a_promotion_that_does_harm_is_counted_with_how_much(tmp_path: Path) -> None:
    history = world(9, turns_at=6)  # of which the policy knows what comes
    played = play(stage(history, tmp_path), Unlucky())
    assert (played.promotions, played.worse, played.harmful) == (1, 1, 1)
    assert played.promoted_at == (2,)
    assert played.harm[0] == pytest.approx(played.by_period[1] - played.by_period[2], abs=0.15)


def test_who_knows_the_future_is_never_worse_than_what_it_chooses_from(tmp_path: Path) -> None:
    turned = world(9, turns_at=4)
    pool = (Always(), Always(window=2))
    bound = play(stage(turned, tmp_path), Bound(pool))
    for policy in pool:
        assert bound.accuracy >= play(stage(turned, tmp_path), policy).accuracy
    assert bound.worse == bound.harmful == 0
    assert bound.promotions <= 6
