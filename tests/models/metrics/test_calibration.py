"""How far scores are from how often answers are right, where that is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.metrics.calibration import calibration_error, calibration_errors, equal_bins


def test_bins_have_as_many_rows_each_in_the_order_of_scores() -> None:
    scores = np.random.default_rng(1).permutation(np.linspace(0.5, 1, 330))
    bins = equal_bins(scores)
    assert bins.sum(axis=0).tolist() == [55] * 6
    assert bins.sum(axis=1).tolist() == [1] * 330
    of_each = bins.argmax(axis=1)
    for low in range(5):
        assert scores[of_each == low].max() < scores[of_each == low + 1].min()
    assert equal_bins(np.linspace(0, 1, 5000)).shape == (5000, 10)
    assert equal_bins(np.array([0.5, 0.7])).shape == (2, 1)


def test_the_error_of_many_rows_is_by_how_much_scores_are_too_high_or_too_low() -> None:
    random = np.random.default_rng(3)
    scores = random.uniform(0.6, 0.9, 40_000)
    drawn = random.uniform(0, 1, len(scores))
    assert calibration_error(drawn < scores, scores) < 0.006
    assert calibration_error(drawn < scores - 0.2, scores) == pytest.approx(0.2, abs=0.006)
    assert calibration_error(drawn < scores + 0.1, scores) == pytest.approx(0.1, abs=0.006)


def test_what_chance_adds_is_taken_off() -> None:
    random = np.random.default_rng(4)

    def errors(excess: float) -> tuple[float, float]:
        """Mean over samples of 300 rows: as seen, and as it is given."""
        seen, given = [], []
        for _ in range(200):
            scores = random.uniform(0.6, 0.99, 300)
            right = random.uniform(0, 1, 300) < scores - excess
            seen.append(np.abs(equal_bins(scores).T @ (right - scores)).sum() / 300)
            given.append(calibration_error(right, scores))
        return float(np.mean(seen)), float(np.mean(given))

    seen, given = errors(0.0)
    assert given < 0.65 * seen
    assert errors(0.1)[1] == pytest.approx(0.1, abs=0.01)


def test_equal_scores_are_in_one_bin_whatever_the_order_of_their_rows() -> None:
    scores = np.full(400, 0.8)
    assert (equal_bins(scores).sum(axis=0) > 0).sum() == 1
    assert calibration_error(np.arange(400) < 320, scores) < 0.01


def test_of_one_bin_it_is_the_distance_of_mean_score_and_share() -> None:
    scores = np.full(40, 0.9)
    right = np.arange(40) < 20
    # 0.4 apart, five deviations of chance: nothing of it is chance.
    assert calibration_error(right, scores) == pytest.approx(0.4)
    assert calibration_error(np.ones(40, dtype=np.bool_), np.ones(40)) == 0.0


def test_rows_count_for_their_weights() -> None:
    scores = np.full(40, 0.9)
    right = np.arange(40) < 20
    weights = np.where(right, 1.0, 0.0)
    assert calibration_error(right, scores, weights) == pytest.approx(0.1)
    both = calibration_errors(right, scores, np.stack([np.ones(40), weights]))
    assert both.tolist() == pytest.approx([0.4, 0.1])


def test_without_rows_nothing_is_known() -> None:
    assert math.isnan(calibration_error(np.zeros(0, dtype=np.bool_), np.zeros(0)))
    assert math.isnan(calibration_error(np.array([True]), np.array([0.9]), np.array([0.0])))
