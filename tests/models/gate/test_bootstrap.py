from __future__ import annotations

from math import comb

import numpy as np
import pytest

from models.gate.bootstrap import ENOUGH_ROWS, draw_weights, interval_of, resampled_differences, swap_answers
from models.metrics.catalogue import METRICS


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


def discordant(won: int, lost: int, rows: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, and answers of two models that differ in as many rows as the one wins and loses."""
    y = np.arange(rows) % 2
    right, wrong = np.eye(2, dtype=np.float32)[y], np.eye(2, dtype=np.float32)[1 - y]
    one, other = right.copy(), right.copy()
    other[:won] = wrong[:won]
    one[won : won + lost] = wrong[won : won + lost]
    one[-5:] = other[-5:] = wrong[-5:]
    return y, one, other


@pytest.mark.parametrize(("won", "lost"), [(0, 0), (1, 0), (3, 0), (5, 1), (2, 4), (11, 0)])
def test_dealing_answers_anew_is_the_sign_test_for_accuracy(won: int, lost: int) -> None:
    swaps = swap_answers("accuracy", *discordant(won, lost))
    assert swaps is not None
    count = won + lost
    as_good = sum(comb(count, wins) for wins in range(won, count + 1)) / 2**count
    as_bad = sum(comb(count, wins) for wins in range(won + 1)) / 2**count
    assert (swaps.rows, swaps.as_good, swaps.as_bad) == (count, as_good, as_bad)


def test_enough_rows_need_no_deal_and_metrics_of_probabilities_have_none() -> None:
    assert swap_answers("accuracy", *discordant(ENOUGH_ROWS, 0)) is None
    assert swap_answers("roc_auc", *discordant(3, 0)) is None
    assert swap_answers("log_loss", *discordant(3, 0)) is None


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "f1", "f1_macro", "f1_weighted"])
def test_three_rows_won_prove_nothing_and_six_do(metric: str) -> None:
    for won, proves in ((3, False), (6, True)):
        rows = discordant(won, 0)
        differences = resampled_differences(metric, *rows, resamples=2000, seed=1)
        bootstrap = interval_of(differences, 0.9)
        exact = interval_of(differences, 0.9, swap_answers(metric, *rows))
        assert bootstrap is not None
        assert exact is not None
        assert bootstrap.low > 0
        assert (exact.low > 0) is proves
        assert exact.high == bootstrap.high


def test_three_rows_lost_do_not_speak_against_a_challenger() -> None:
    rows = discordant(0, 3)
    differences = resampled_differences("accuracy", *rows, resamples=2000, seed=1)
    interval = interval_of(differences, 0.9, swap_answers("accuracy", *rows))
    assert interval is not None
    assert interval.low < interval.high == 0


@pytest.mark.parametrize(
    "metric", sorted(n for n, m in METRICS.items() if m.compute_many and m.of == "answers")
)
def test_answers_of_many_labels_are_dealt_by_rows(metric: str) -> None:
    random = np.random.default_rng(3)
    y = random.integers(0, 2, (40, 4))
    y[:, 0] = 1
    right = (y * 0.8 + 0.1).astype(np.float32)
    other = right.copy()
    other[:3] = 1 - other[:3]
    weights = random.uniform(0.5, 2, 40)
    thresholds = (np.full(4, 0.5, np.float32), np.full(4, 0.4, np.float32))
    swaps = swap_answers(metric, y, right, other, thresholds=thresholds, row_weights=weights)
    assert swaps is not None
    assert (swaps.rows, swaps.as_good, swaps.as_bad) == (3, 1 / 8, 1.0)
