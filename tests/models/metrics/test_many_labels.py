from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from configs.schema import TargetConfig
from models.errors import TrainingError
from models.estimators.labels_and_thresholds import (
    assign_labels,
    choose_thresholds,
    label_matrix,
    learnable_classes,
    threshold_array,
    to_truth,
)
from models.metrics.catalogue import METRICS, compute, score
from models.metrics.classes import score_labels

MANY = sorted(name for name, metric in METRICS.items() if metric.compute_many is not None)
HALF = np.full(4, 0.5, dtype=np.float32)
Rows = tuple[np.ndarray, np.ndarray]


def rows_of(seed: int, rows: int = 30) -> Rows:
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, (rows, 4))
    y[y.sum(axis=1) == 0, 0] = 1
    return y, (random.integers(1, 10, (rows, 4)) / 10).astype(np.float32)


EXPECTED: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], Any]] = {
    "f1_micro": lambda y, a, _: reference.f1_score(y, a, average="micro", zero_division=0),
    "f1_macro": lambda y, a, _: reference.f1_score(y, a, average="macro", zero_division=0),
    "f1_weighted": lambda y, a, _: reference.f1_score(y, a, average="weighted", zero_division=0),
    "f1_samples": lambda y, a, _: reference.f1_score(y, a, average="samples", zero_division=0),
    "subset_accuracy": lambda y, a, _: reference.accuracy_score(y, a),
    "hamming_loss": lambda y, a, _: reference.hamming_loss(y, a),
    "label_ranking_average_precision": lambda y, _, p: reference.label_ranking_average_precision_score(y, p),
    "coverage_error": lambda y, _, p: reference.coverage_error(y, p),
    "roc_auc": lambda y, _, p: reference.roc_auc_score(y, p, average="macro"),
}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
@pytest.mark.parametrize("name", MANY)
def test_agrees_with_scikit_learn(name: str, seed: int) -> None:
    y, p = rows_of(seed)
    given_labels = assign_labels(p, HALF)
    expected = EXPECTED[name](y, given_labels.astype(int), p)
    assert compute(name, y, p, np.ones((1, len(y))))[0] == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(MANY))
def test_weights_are_repetitions(seed: int, name: str) -> None:
    y, p = rows_of(seed)
    times = np.random.default_rng(seed).integers(0, 4, len(y))
    weighted = compute(name, y, p, times[np.newaxis].astype(np.float64))[0]
    repeated = compute(
        name, np.repeat(y, times, axis=0), np.repeat(p, times, axis=0), np.ones((1, times.sum()))
    )[0]
    assert weighted == pytest.approx(repeated, nan_ok=True)


def test_thousands_of_labels_are_ranked_in_little_memory() -> None:
    random = np.random.default_rng(1)
    y = (random.random((300, 1500)) < 0.01).astype(np.int64)
    y[:, 0] = 1
    p = random.random((300, 1500)).astype(np.float32).round(3)
    name = "label_ranking_average_precision"
    tracemalloc.start()
    found = compute(name, y, p, np.ones((1, 300)))[0]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == pytest.approx(reference.label_ranking_average_precision_score(y, p))
    assert peak < 100_000_000


def test_no_rows_have_no_score() -> None:
    scores = score("multilabel", np.zeros((0, 2), np.int64), np.zeros((0, 2), np.float32), ("a", "b"))
    assert set(scores) == set(MANY)
    assert all(np.isnan(value) for value in scores.values())


def test_a_metric_of_one_label_refuses_many() -> None:
    y, p = rows_of(1)
    with pytest.raises(ValueError, match="accuracy is not defined"):
        compute("accuracy", y, p, np.ones((1, len(y))))


def test_a_row_without_a_sure_label_gets_the_nearest_to_its_threshold() -> None:
    p = np.array([[0.2, 0.3, 0.1], [0.9, 0.8, 0.0]], dtype=np.float32)
    given_labels = assign_labels(p, np.array([0.3, 0.9, 0.5], dtype=np.float32))
    assert given_labels.tolist() == [[True, False, False], [True, False, False]]
    assert assign_labels(np.zeros((2, 0), np.float32), np.zeros(0, np.float32)).shape == (2, 0)


def test_chosen_thresholds_are_better_than_one_half() -> None:
    random = np.random.default_rng(0)
    y = (random.random((400, 4)) < [0.5, 0.2, 0.1, 0.05]).astype(np.int64)
    p = np.clip(y * 0.25 + random.random((400, 4)) * 0.3, 0, 1).astype(np.float32)
    chosen = choose_thresholds(p, y)
    better = compute("f1_micro", y, p, np.ones((1, 400)), thresholds=chosen)[0]
    assert better > compute("f1_micro", y, p, np.ones((1, 400)))[0] + 0.05
    assert choose_thresholds(p[:0], y[:0]).tolist() == HALF.tolist()


def test_truth_follows_the_task() -> None:
    many = TargetConfig(task="multilabel", separator=";", min_label_rows=2)
    assert learnable_classes(many, ["a;b", "b", "b;c", "a"]) == ("a", "b")
    assert to_truth(many, ["a;c", "b"], ("a", "b")).tolist() == [[1, 0], [0, 1]]
    assert label_matrix(["", "b"], ("a", "b"), ";").tolist() == [[0, 0], [0, 1]]
    one = TargetConfig(task="multiclass")
    assert to_truth(one, ["b", "a"], ("a", "b")).tolist() == [1, 0]
    with pytest.raises(TrainingError, match="'c' is not a class"):
        to_truth(one, ["c"], ("a", "b"))


def test_thresholds_are_laid_out_by_class() -> None:
    assert threshold_array({"b": 0.25}, ("a", "b")).tolist() == [0.5, 0.25]


def test_each_label_has_its_scores() -> None:
    truth = np.array([[1, 0], [1, 1], [0, 1]])
    scores = score_labels(truth, np.array([[1, 1], [0, 1], [0, 1]], dtype=bool), ("a", "b"))
    assert scores["a"].precision == 1
    assert scores["a"].recall == pytest.approx(1 / 2)
    assert scores["b"].f1 == pytest.approx(4 / 5)
    assert scores["b"].support == 2
