from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from configs import schema
from configs.schema.gate import metrics_for
from configs.schema.target import Task
from models.metrics.catalogue import METRICS, compute, positive_index, score
from models.metrics.classes import confusion, score_classes

CLASSES = ("a", "b", "c", "d")
Rows = tuple[np.ndarray, np.ndarray]
SINGLE = sorted(name for name, metric in METRICS.items() if metric.compute is not None)


def rows_of(seed: int, rows: int, classes: int, present: int) -> Rows:
    random = np.random.default_rng(seed)
    y = random.integers(0, present, rows)
    # Few distinct values, so that scores tie.
    p = random.integers(1, 5, (rows, classes)).astype(np.float64)
    return y, (p / p.sum(axis=1, keepdims=True)).astype(np.float32)


def one(name: str, y: np.ndarray, p: np.ndarray, positive: int = 1) -> float:
    return float(compute(name, y, p, np.ones((1, len(y))), positive)[0])


EXPECTED: dict[str, Callable[[np.ndarray, np.ndarray], Any]] = {
    "accuracy": lambda y, p: reference.accuracy_score(y, p.argmax(axis=1)),
    "f1_macro": lambda y, p: reference.f1_score(y, p.argmax(axis=1), average="macro", zero_division=0),
    "f1_weighted": lambda y, p: reference.f1_score(y, p.argmax(axis=1), average="weighted", zero_division=0),
    "log_loss": lambda y, p: -np.log(p[np.arange(len(y)), y]).mean(),
}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(2, 4), st.integers(1, 4))
@pytest.mark.parametrize("name", EXPECTED)
def test_agrees_with_scikit_learn(name: str, seed: int, rows: int, classes: int, present: int) -> None:
    y, p = rows_of(seed, rows, classes, min(present, classes))
    assert one(name, y, p) == pytest.approx(EXPECTED[name](y, p), abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(8, 40), st.integers(2, 4))
def test_roc_auc_and_balanced_accuracy_agree_with_scikit_learn(seed: int, rows: int, classes: int) -> None:
    y, p = rows_of(seed, rows, classes, classes)
    y[:classes] = np.arange(classes)
    assert one("balanced_accuracy", y, p) == pytest.approx(
        reference.balanced_accuracy_score(y, p.argmax(axis=1))
    )
    areas = [reference.roc_auc_score(y == place, p[:, place]) for place in range(classes)]
    assert one("roc_auc", y, p) == pytest.approx(areas[1] if classes == 2 else np.mean(areas))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(SINGLE))
def test_weights_are_repetitions(seed: int, name: str) -> None:
    """The law that the bootstrap rests on."""
    y, p = rows_of(seed, 30, 2 if name == "f1" else 3, 2)
    times = np.random.default_rng(seed).integers(0, 4, 30)
    weighted = compute(name, y, p, times[np.newaxis].astype(np.float64), 1)[0]
    repeated = one(name, np.repeat(y, times), np.repeat(p, times, axis=0))
    assert weighted == pytest.approx(repeated, nan_ok=True)


def test_a_task_has_its_metrics() -> None:
    y, p = rows_of(0, 20, 2, 2)
    assert set(score("binary", y, p, ("no", "yes"))) == set(SINGLE)
    assert set(score("multiclass", y, p, ("no", "yes"))) == set(SINGLE) - {"f1"}


def test_the_schema_allows_the_metrics_of_the_table() -> None:
    assert set(get_args(schema.Metric)) == set(METRICS)
    for task in get_args(Task):
        assert set(metrics_for(task)) == {name for name, one in METRICS.items() if task in one.tasks}


def test_f1_speaks_of_the_positive_class() -> None:
    y = np.array([0, 0, 0, 1])
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.2, 0.8]], dtype=np.float32)
    assert score("binary", y, p, ("no", "yes"))["f1"] == pytest.approx(2 / 3)
    assert score("binary", y, p, ("no", "yes"), "no")["f1"] == pytest.approx(4 / 5)
    assert positive_index(("no", "yes"), None) == 1


def test_one_class_has_no_roc_auc() -> None:
    y, p = rows_of(0, 10, 2, 1)
    assert np.isnan(one("roc_auc", y, p))
    assert not np.isnan(one("accuracy", y, p))


def test_no_rows_have_no_score() -> None:
    y, p = np.zeros(0, dtype=np.int64), np.zeros((0, 3), dtype=np.float32)
    assert all(np.isnan(value) for value in score("multiclass", y, p, ("a", "b", "c")).values())


def test_one_sure_mistake_is_not_infinite() -> None:
    assert np.isfinite(one("log_loss", np.array([1]), np.array([[1.0, 0.0]], dtype=np.float32)))


def test_confusion_counts_true_by_row_and_knows_strangers() -> None:
    classes, counts = confusion(["a", "b", "b", "z"], ["a", "a", "b", "b"], ("a", "b"))
    assert classes == ("a", "b", "z")
    assert counts.tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 0]]


def test_classes_are_scored_alone() -> None:
    scores = score_classes(["a", "b", "b", "b"], ["a", "a", "b", "b"], ("a", "b", "c"))
    assert (scores["a"].precision, scores["a"].recall, scores["a"].support) == (0.5, 1.0, 1)
    assert scores["b"].recall == pytest.approx(2 / 3)
    assert scores["b"].f1 == pytest.approx(0.8)
    assert scores["c"] == type(scores["c"])(0.0, 0.0, 0.0, 0)
