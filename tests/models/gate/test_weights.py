"""Weights that make chosen rows stand for all: as many of each kind, and honest about how much they say."""

from __future__ import annotations

import numpy as np
import pytest

from models.gate.bootstrap import resampled_differences
from models.gate.weights import post_stratify
from models.metrics.catalogue import score


def test_rows_chosen_by_answer_and_score_stand_for_all_answers() -> None:
    """Of the sure ones 5% are labelled, of the others 60%: of labelled ones most are wrong."""
    random = np.random.default_rng(1)
    scores = random.uniform(0, 1, 20_000)
    correct = random.random(20_000) < 0.2 + 0.8 * scores
    labels = random.choice(["a", "b"], 20_000).astype(object)
    chosen = random.random(20_000) < np.where(scores > 0.5, 0.05, 0.6)
    rows = post_stratify(labels, scores, chosen)
    assert correct[chosen].mean() < 0.45
    assert np.average(correct, weights=rows.weights) == pytest.approx(correct.mean(), abs=0.02)
    assert rows.weights[chosen].mean() == pytest.approx(1)
    assert not rows.weights[~chosen].any()
    assert rows.effective_rows < 0.5 * chosen.sum()
    assert rows.uncovered == 0


def test_answers_of_a_kind_without_a_row_are_told() -> None:
    labels = np.array(["a"] * 80 + ["b"] * 20, dtype=object)
    rows = post_stratify(labels, np.full(100, np.nan), labels == "a")
    assert rows.uncovered == pytest.approx(0.2)
    assert rows.effective_rows == pytest.approx(80)


def test_without_rows_there_is_nothing_to_weigh() -> None:
    rows = post_stratify(np.array([], dtype=object), np.array([]), np.array([], dtype=np.bool_))
    assert (rows.effective_rows, rows.uncovered) == (0.0, 0.0)


def test_a_weight_of_two_is_a_row_twice() -> None:
    """In every metric of the task, and on average in the resamples."""
    random = np.random.default_rng(2)
    truth = random.integers(0, 2, 60)
    good, poor = (random.dirichlet([1, 1], 60).astype(np.float32) for _ in range(2))
    row_weights = np.where(good.argmax(axis=1) == truth, 4.0, 1.0)
    repeats = np.repeat(np.arange(60), row_weights.astype(int))
    weighed = score("binary", truth, good, ["a", "b"], row_weights=row_weights)
    repeated = score("binary", truth[repeats], good[repeats], ["a", "b"])
    assert weighed == pytest.approx(repeated)
    drawn = resampled_differences(
        "accuracy", truth, good, poor, resamples=4000, seed=1, row_weights=row_weights
    )
    of_poor = score("binary", truth, poor, ["a", "b"], row_weights=row_weights)["accuracy"]
    assert drawn.mean() == pytest.approx(weighed["accuracy"] - of_poor, abs=0.01)
