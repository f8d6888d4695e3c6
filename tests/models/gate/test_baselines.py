"""What is known without the record: the constant that a metric likes best, and answers dealt by chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.gate.baselines import Constant, best_constant, deal
from models.gate.bootstrap import interval_of, resampled_differences
from models.metrics.catalogue import METRICS, compute, rises

RARE = np.array([0] * 80 + [1] * 20)
MANY = np.array([[1, 1, 0]] * 6 + [[1, 0, 0]] * 3 + [[0, 0, 1]])


def worth(metric: str, truth: np.ndarray, one: Constant, positive: int = 1) -> float:
    answers = one.repeated(len(truth))
    return float(compute(metric, truth, answers, np.ones((1, len(truth))), positive, one.thresholds)[0])


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("accuracy", 0.8),
        ("balanced_accuracy", 0.5),
        ("f1", 2 * 0.2 / 1.2),
        ("roc_auc", 0.5),
        ("log_loss", -(0.8 * np.log(0.8) + 0.2 * np.log(0.2))),
    ],
)
def test_each_metric_gets_the_constant_that_it_likes_best(metric: str, expected: float) -> None:
    assert worth(metric, RARE, best_constant(metric, RARE, 2, 1)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("metric", "labels"),
    [("subset_accuracy", [0, 1]), ("f1_micro", [0, 1]), ("f1_macro", [0, 1, 2]), ("hamming_loss", [0, 1])],
)
def test_of_many_labels_the_best_set_is_given_to_every_row(metric: str, labels: list[int]) -> None:
    chosen = best_constant(metric, MANY, 3, 1)
    assert chosen.thresholds is not None
    assert np.flatnonzero(chosen.probabilities >= chosen.thresholds).tolist() == labels


@pytest.mark.parametrize("metric", [name for name, one in METRICS.items() if one.compute is not None])
@given(truth=st.lists(st.integers(0, 2), min_size=1, max_size=40))
def test_no_class_answered_always_is_better(metric: str, truth: list[int]) -> None:
    rows = np.array(truth)
    sign = 1 if rises(metric) else -1
    best = worth(metric, rows, best_constant(metric, rows, 3, 1))
    others = [worth(metric, rows, Constant(row)) for row in np.eye(3, dtype=np.float32)]
    assert np.isnan(best) or all(np.isnan(one) or sign * best >= sign * one - 1e-6 for one in others)


def test_without_training_rows_there_is_still_an_answer() -> None:
    assert best_constant("accuracy", np.array([], dtype=np.int64), 2, 1).repeated(3).shape == (3, 2)


def test_a_model_of_random_labels_is_no_better_than_its_own_answers_dealt() -> None:
    """It beats every constant in macro-F1, which is why the constant alone is not enough."""
    random = np.random.default_rng(3)
    truth = random.integers(0, 2, 600)
    answers = np.eye(2, dtype=np.float32)[random.integers(0, 2, 600)]

    def low(other: np.ndarray) -> float:
        gains = resampled_differences("f1_macro", truth, answers, other, resamples=500, seed=1)
        interval = interval_of(gains, 0.9)
        assert interval is not None
        return interval.low

    assert low(best_constant("f1_macro", truth, 2, 1).repeated(600)) > 0
    assert low(deal(answers, seed=1)) < 0


def test_dealing_keeps_the_answers_and_is_the_same_each_time() -> None:
    answers = np.arange(20, dtype=np.float32).reshape(10, 2)
    assert sorted(deal(answers, 1)[:, 0]) == sorted(answers[:, 0])
    assert (deal(answers, 1) == deal(answers, 1)).all()
    assert not (deal(answers, 1) == answers).all()
