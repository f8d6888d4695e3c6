from __future__ import annotations

import numpy as np
import pytest

from models.gate.bootstrap import draw_weights, resampled_differences
from models.gate.metrics import METRICS


def answers(seed: int, rows: int, right: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows of three classes and answers of which about this share is right."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 3, rows)
    chosen = np.where(random.random(rows) < right, y, (y + 1) % 3)
    return y, (np.eye(3)[chosen] * 0.7 + 0.1).astype(np.float32)


@pytest.mark.parametrize(
    "metric", sorted(n for n, m in METRICS.items() if m.compute is not None and n != "f1")
)
def test_the_better_model_gains_whatever_the_direction(metric: str) -> None:
    y, poor = answers(1, 400, 0.5)
    good = np.where((np.arange(400) < 100)[:, np.newaxis], (np.eye(3)[y] * 0.7 + 0.1), poor).astype(
        np.float32
    )
    gains = resampled_differences(metric, y, good, poor, resamples=200, seed=3)
    assert gains.shape == (200,)
    assert (gains > 0).all()
    np.testing.assert_array_equal(resampled_differences(metric, y, poor, good, resamples=200, seed=3), -gains)


def test_draws_follow_the_seed() -> None:
    y, a = answers(1, 100, 0.5)
    _, b = answers(2, 100, 0.7)
    first, again, other = (
        resampled_differences("accuracy", y, a, b, resamples=300, seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_the_mean_gain_is_the_plain_one() -> None:
    y, a = answers(1, 2000, 0.5)
    _, b = answers(2, 2000, 0.3)
    gains = resampled_differences("accuracy", y, a, b, resamples=1000, seed=0)
    plain = (a.argmax(axis=1) == y).mean() - (b.argmax(axis=1) == y).mean()
    assert gains.mean() == pytest.approx(plain, abs=0.002)


def test_a_draw_has_as_many_rows_as_there_are() -> None:
    weights = draw_weights(np.random.default_rng(0), 50, 7)
    assert weights.shape == (7, 50)
    assert weights.sum(axis=1).tolist() == [50.0] * 7
    assert draw_weights(np.random.default_rng(0), 0, 2).shape == (2, 0)


def test_no_rows_have_no_gain() -> None:
    nothing = np.zeros((0, 3), dtype=np.float32)
    gains = resampled_differences("f1_macro", np.zeros(0, np.int64), nothing, nothing, resamples=200, seed=1)
    assert np.isnan(gains).all()
