"""What a model's answers are worth, one definition each for judging and for resampling.

A metric is computed for many weightings of the same rows at once: with all weights one it
is the metric itself, with the counts of a bootstrap resample it is the metric of that
resample. Definitions are those of scikit-learn; a class without rows is left out where its
share is not defined.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from configs.schema import Task
from models.estimators.labels_and_thresholds import DEFAULT_THRESHOLD
from models.gate import multilabel_metrics

Floats = NDArray[np.float64]
Truth = NDArray[np.int64]
Probabilities = NDArray[np.float32]
LEAST_PROBABILITY = 1e-7
"""Log loss counts a smaller one as this, so that one sure mistake is not infinite."""


@dataclass(frozen=True)
class Metric:
    """One number that says how good answers are."""

    name: str
    direction: Literal["higher", "lower"]
    """Which way is better."""
    tasks: frozenset[Task]
    """Tasks that it is defined for."""
    compute: Callable[[Truth, Probabilities, Floats, int], Floats] | None = None
    """Class indices (n), probabilities (n, k), weights (r, n) and the index of the positive class to
    r values; NaN where it is not defined. Absent: defined for many labels a row only."""
    compute_many: multilabel_metrics.ManyLabels | None = None
    """The same for truth as zeros and ones (n, k), with thresholds (k,) in place of the positive class."""
    of: Literal["answers", "probabilities"] = "answers"
    """What it looks at: only what is answered, or how sure that is as well."""


@dataclass(frozen=True)
class ClassScore:
    """How one class fares."""

    precision: float
    recall: float
    f1: float
    support: int


def score(
    task: Task,
    y_true: Truth,
    probabilities: Probabilities,
    classes: Sequence[str],
    positive: str | None = None,
    thresholds: Probabilities | None = None,
    row_weights: Floats | None = None,
) -> dict[str, float]:
    """All metrics of the task by name; NaN where one is not defined on these rows.

    Args:
        task: binary, multiclass or multilabel.
        y_true: class indices, shape (n,); for multilabel zeros and ones, shape (n, classes).
        probabilities: shape (n, classes).
        classes: labels in the order of the columns.
        positive: the class that `f1` and binary `roc_auc` speak of; default the second.
        thresholds: shape (classes,), from which a label is given (multilabel); default 0.5.
        row_weights: what each row counts for, shape (n,); default 1.
    """
    place = positive_index(classes, positive)
    weights = np.ones((1, len(y_true))) if row_weights is None else row_weights[np.newaxis]
    return {
        name: float(compute(name, y_true, probabilities, weights, place, thresholds)[0])
        for name, metric in METRICS.items()
        if task in metric.tasks
    }


def compute(
    name: str,
    y_true: Truth,
    probabilities: Probabilities,
    weights: Floats,
    positive: int = 1,
    thresholds: Probabilities | None = None,
) -> Floats:
    """A metric for each row of weights; truth of two dimensions means many labels a row.

    Raises:
        ValueError: it is not defined for that kind of truth.
    """
    metric = METRICS[name]
    if y_true.ndim == 1 and metric.compute is not None:
        return metric.compute(y_true, probabilities, weights, positive)
    if y_true.ndim == 2 and metric.compute_many is not None:
        if thresholds is None:
            thresholds = np.full(probabilities.shape[1], DEFAULT_THRESHOLD, dtype=np.float32)
        return metric.compute_many(y_true, probabilities, weights, thresholds)
    raise ValueError(f"metric {name} is not defined for truth of shape {y_true.shape}")


def rises(name: str) -> bool:
    """Whether more of the metric is better."""
    return METRICS[name].direction == "higher"


def positive_index(classes: Sequence[str], positive: str | None) -> int:
    """Place of the class that binary metrics speak of; the second by default."""
    return 1 if positive is None else list(classes).index(positive)


def confusion(
    labels: Sequence[str], answered: Sequence[str], classes: Sequence[str]
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """The model's classes, then those that only the rows know; and counts (k, k), true class by row."""
    all_classes = tuple(dict.fromkeys([*classes, *sorted(set(labels) - set(classes))]))
    places = {label: place for place, label in enumerate(all_classes)}
    counts = np.zeros((len(all_classes), len(all_classes)), dtype=np.int64)
    rows = [places[label] for label in labels]
    np.add.at(counts, (rows, [places[label] for label in answered]), 1)
    return all_classes, counts


def score_classes(
    labels: Sequence[str], answered: Sequence[str], classes: Sequence[str]
) -> dict[str, ClassScore]:
    """Precision, recall, F1 and number of rows of each class; 0 where one is not defined."""
    all_classes, whole = confusion(labels, answered, classes)
    counts = whole.astype(np.float64)
    hits, support, predicted = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    table = zip(
        _ratio(hits, predicted),
        _ratio(hits, support),
        _ratio(2 * hits, support + predicted),
        support,
        strict=True,
    )
    return {
        label: ClassScore(float(precision), float(recall), float(f1), int(rows))
        for label, (precision, recall, f1, rows) in zip(all_classes, table, strict=True)
    }


def score_labels(truth: Truth, predicted: NDArray[np.bool_], classes: Sequence[str]) -> dict[str, ClassScore]:
    """Precision, recall, F1 and number of rows of each label, where a row has many."""
    hits, support, answered = (
        counts.sum(axis=0).astype(np.float64) for counts in (predicted & (truth == 1), truth, predicted)
    )
    table = zip(
        _ratio(hits, answered),
        _ratio(hits, support),
        _ratio(2 * hits, support + answered),
        support,
        strict=True,
    )
    return {
        label: ClassScore(float(precision), float(recall), float(f1), int(rows))
        for label, (precision, recall, f1, rows) in zip(classes, table, strict=True)
    }


def _accuracy(y: Truth, p: Probabilities, weights: Floats, _positive: int) -> Floats:
    return _ratio(weights @ (p.argmax(axis=1) == y), weights.sum(axis=1), empty=np.nan)


def _balanced_accuracy(y: Truth, p: Probabilities, weights: Floats, _positive: int) -> Floats:
    hits, support, _ = _class_sums(y, p, weights)
    return _mean_where(_ratio(hits, support), support > 0)


def _f1_macro(y: Truth, p: Probabilities, weights: Floats, _positive: int) -> Floats:
    hits, support, answered = _class_sums(y, p, weights)
    return _mean_where(_ratio(2 * hits, support + answered), support + answered > 0)


def _f1_weighted(y: Truth, p: Probabilities, weights: Floats, _positive: int) -> Floats:
    hits, support, answered = _class_sums(y, p, weights)
    weighted = (_ratio(2 * hits, support + answered) * support).sum(axis=1)
    return _ratio(weighted, support.sum(axis=1), empty=np.nan)


def _f1(y: Truth, p: Probabilities, weights: Floats, positive: int) -> Floats:
    hits, support, answered = (sums[:, positive] for sums in _class_sums(y, p, weights))
    return _ratio(2 * hits, support + answered)


def _log_loss(y: Truth, p: Probabilities, weights: Floats, _positive: int) -> Floats:
    of_truth = p[np.arange(len(y)), y].astype(np.float64)
    losses = -np.log(np.clip(of_truth, LEAST_PROBABILITY, 1.0))
    return _ratio(weights @ losses, weights.sum(axis=1), empty=np.nan)


def _roc_auc(y: Truth, p: Probabilities, weights: Floats, positive: int) -> Floats:
    """One class against the rest, averaged over classes; of the positive class alone if there are two."""
    places = [positive] if p.shape[1] == 2 else range(p.shape[1])
    areas = np.stack([_area(p[:, place], y == place, weights) for place in places], axis=1)
    return _mean_where(np.nan_to_num(areas), ~np.isnan(areas))


def _area(scores: NDArray[np.float32], is_positive: NDArray[np.bool_], weights: Floats) -> Floats:
    """Share of pairs (positive, negative) in which the positive has the higher score; a tie counts half."""
    order = np.argsort(scores, kind="stable")
    ordered = weights[:, order]
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.nan) != 0)
    if not len(starts):
        return np.full(len(weights), np.nan)
    above = np.add.reduceat(ordered * is_positive[order], starts, axis=1)
    below = np.add.reduceat(ordered * ~is_positive[order], starts, axis=1)
    pairs = (above * (np.cumsum(below, axis=1) - below / 2)).sum(axis=1)
    return _ratio(pairs, above.sum(axis=1) * below.sum(axis=1), empty=np.nan)


def _class_sums(y: Truth, p: Probabilities, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """Weight of the rows that are of each class and answered so, that are of it, that are answered so."""
    eye = np.eye(p.shape[1])
    truth, answer = eye[y], eye[p.argmax(axis=1)]
    return weights @ (truth * answer), weights @ truth, weights @ answer


def _ratio(part: Floats, whole: Floats, empty: float = 0.0) -> Floats:
    ratio: Floats = np.divide(part, whole, out=np.full(np.shape(part), empty), where=whole > 0)
    return ratio


def _mean_where(values: Floats, counted: NDArray[np.bool_]) -> Floats:
    """Mean along rows of the values that count; NaN where none does."""
    return _ratio((values * counted).sum(axis=1), counted.sum(axis=1).astype(np.float64), empty=np.nan)


def _roc_auc_many(y: Truth, p: Probabilities, weights: Floats, _thresholds: Probabilities) -> Floats:
    """Each label by itself, averaged over those that some rows have and others have not."""
    if not p.shape[1]:
        return np.full(len(weights), np.nan)
    areas = np.stack([_area(p[:, at], y[:, at] == 1, weights) for at in range(p.shape[1])], axis=1)
    return _mean_where(np.nan_to_num(areas), ~np.isnan(areas))


SINGLE: frozenset[Task] = frozenset({"binary", "multiclass"})
MANY: frozenset[Task] = frozenset({"multilabel"})
ANY = SINGLE | MANY
METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "higher", SINGLE, _accuracy),
        Metric("balanced_accuracy", "higher", SINGLE, _balanced_accuracy),
        Metric("f1_macro", "higher", ANY, _f1_macro, multilabel_metrics.f1_macro),
        Metric("f1_weighted", "higher", ANY, _f1_weighted, multilabel_metrics.f1_weighted),
        Metric("f1", "higher", frozenset({"binary"}), _f1),
        Metric("roc_auc", "higher", ANY, _roc_auc, _roc_auc_many, of="probabilities"),
        Metric("log_loss", "lower", SINGLE, _log_loss, of="probabilities"),
        Metric("f1_micro", "higher", MANY, None, multilabel_metrics.f1_micro),
        Metric("f1_samples", "higher", MANY, None, multilabel_metrics.f1_samples),
        Metric("subset_accuracy", "higher", MANY, None, multilabel_metrics.subset_accuracy),
        Metric("hamming_loss", "lower", MANY, None, multilabel_metrics.hamming_loss),
        Metric(
            "label_ranking_average_precision",
            "higher",
            MANY,
            None,
            multilabel_metrics.label_ranking_average_precision,
            of="probabilities",
        ),
        Metric("coverage_error", "lower", MANY, None, multilabel_metrics.coverage_error, of="probabilities"),
    )
}
"""Name to metric; those that `gate.metric` may name."""
