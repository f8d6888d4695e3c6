"""What a bet against a version comes to, and what is told of it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from configs.schema import ProbationConfig, TargetConfig
from models.probation.evidence import Probation, row_losses, weigh_losses
from models.probation.wealth import STAKES, log_wealth, rows_to_go
from models.versions.predictor import Answers

BEGUN = Probation(version=2, before=1)


def losses(worse: int, better: int, same: int = 0) -> np.ndarray:
    return np.array([1.0] * worse + [-1.0] * better + [0.0] * same)


def test_nothing_is_won_or_lost_where_both_are_right_as_often() -> None:
    assert log_wealth(losses(0, 0, same=100)) == pytest.approx(0.0)
    assert log_wealth(losses(50, 50)) < 0


def test_wealth_is_the_mean_of_what_each_gambler_has() -> None:
    expected = np.mean([(1 + stake) ** 3 * (1 - stake) for stake in STAKES])
    assert math.exp(log_wealth(losses(3, 1, same=7))) == pytest.approx(expected)


def test_many_rows_do_not_overflow() -> None:
    assert log_wealth(losses(20_000, 0)) == pytest.approx(20_000 * math.log(1.8) - math.log(5))
    assert weigh_losses(ProbationConfig(), BEGUN, losses(20_000, 0)).wealth < math.inf


def test_versions_that_are_alike_are_seldom_taken_back_however_often_is_looked() -> None:
    """Of 2,000 lives of 1,000 labels, looked at after each: at most 5% but for chance (four errors)."""
    random = np.random.default_rng(3)
    alarms = 0
    for _ in range(2000):
        steps = random.choice([-1.0, 0.0, 1.0], 1000, p=[0.05, 0.9, 0.05])
        paths = np.cumsum(np.log1p(STAKES[:, None] * steps[None, :]), axis=1)
        alarms += bool((np.exp(paths).mean(axis=0) >= 20).any())
    assert alarms / 2000 <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / 2000)


@pytest.mark.parametrize(("points", "most"), [(0.10, 80), (0.05, 280)])
def test_a_worse_version_is_known_within_the_stated_labels(points: float, most: int) -> None:
    """The median of 200 lives in which 10% of the answers differ."""
    random = np.random.default_rng(4)
    worse = (0.10 + points) / 2
    needed = []
    for _ in range(200):
        steps = random.choice([1.0, -1.0, 0.0], 4000, p=[worse, 0.10 - worse, 0.90])
        paths = np.cumsum(np.log1p(STAKES[:, None] * steps[None, :]), axis=1)
        needed.append(int(np.argmax(np.exp(paths).mean(axis=0) >= 20)) + 1)
    assert np.median(needed) <= most


def test_rows_to_go_are_those_after_which_it_is_known() -> None:
    seen = losses(4, 1, same=45)
    more = rows_to_go(seen, math.log(20))
    assert more is not None
    grown = np.concatenate([seen, np.resize(seen, more)])
    assert log_wealth(grown) >= math.log(20) > log_wealth(np.concatenate([seen, np.resize(seen, more // 2)]))
    assert rows_to_go(losses(1, 4), math.log(20)) is None
    assert rows_to_go(losses(0, 0), math.log(20)) is None


def test_what_is_told_begins_with_how_it_stands() -> None:
    config = ProbationConfig(labels=100)
    watched = weigh_losses(config, BEGUN, losses(4, 1, same=45))
    assert watched.verdict == "on_probation"
    assert watched.sentence.startswith(
        "version 2 is watched beside version 1; on 50 labels since it was made it did better on 1 and worse"
        " on 4 (6.00 fewer right in 100 answers); evidence against it: "
    )
    more = f"reached after about {watched.to_go:,} more labels like these"
    assert watched.sentence.endswith(f" of the 20 that take it back, {more}")
    for_it = weigh_losses(config, BEGUN, losses(1, 4, same=45))
    assert for_it.sentence.endswith("take it back, and labels like these do not add to it")
    assert "6.00 more right in 100 answers" in for_it.sentence
    assert weigh_losses(config, BEGUN, losses(50, 50)).verdict == "passed"
    worse = weigh_losses(config, BEGUN, losses(20, 0, same=80))
    assert worse.verdict == "worse", "what is proven at the last label is proven"
    assert Probation.from_dict(worse.as_dict()) == worse


@pytest.mark.parametrize(
    ("wealth", "told"), [(3.01e-6, "0.00"), (0.412, "0.41"), (19.96, "20.0"), (1.3e11, "more than a million")]
)
def test_evidence_is_told_in_figures_that_a_person_can_read(wealth: float, told: str) -> None:
    seen = replace(
        BEGUN, verdict="worse", labels=900, counts="Brier score", lost=0.7423, wealth=wealth, line=20.0
    )
    assert f"evidence against it: {told} of the 20 that take it back" in seen.sentence
    assert "worse by 0.7423 in mean Brier score" in seen.sentence


def test_where_the_metric_is_no_mean_over_rows_the_brier_score_is_compared() -> None:
    target = TargetConfig(task="binary", column="y", classes=("no", "yes"), positive="yes")
    sure, unsure = (
        Answers(("no", "yes"), np.array([[1 - yes, yes]], dtype=np.float32)) for yes in (0.8, 0.6)
    )
    by_rights, counts = row_losses(target, "accuracy", unsure, sure, ["yes"])
    assert (by_rights.tolist(), counts) == ([0.0], "right answers")
    by_brier, counts = row_losses(target, "f1", unsure, sure, ["yes"])
    assert counts == "Brier score"
    assert by_brier.tolist() == pytest.approx([0.4**2 - 0.2**2])


@pytest.mark.parametrize(
    ("metric", "counted"),
    [("subset_accuracy", [-1.0, 0.0]), ("hamming_loss", [-1 / 3, 0.0]), ("f1_micro", [-1 / 3, 0.0])],
)
def test_a_label_that_the_version_before_does_not_know_counts_against_it(
    metric: str, counted: list[float]
) -> None:
    target = TargetConfig(task="multilabel", column="y", separator="|")
    half = np.array([0.5, 0.5, 0.5], dtype=np.float32)
    before = Answers(("a", "b"), np.array([[1, 0], [0, 1]], dtype=np.float32), half[:2])
    now = Answers(("a", "b", "new"), np.array([[1, 0, 1], [0, 1, 0]], dtype=np.float32), half)
    losses, _ = row_losses(target, metric, now, before, ["a|new", "b|nobody knows it"])
    assert losses.tolist() == pytest.approx(counted)
