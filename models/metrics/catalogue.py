"""What a model's answers are worth, one definition each for judging and for resampling.

A metric is computed for many weightings of the same rows at once: with all weights one it
is the metric itself, with the counts of a bootstrap resample it is the metric of that
resample. Definitions are those of scikit-learn; a class without rows is left out where its
share is not defined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from configs.schema import Task
from models.estimators.labels_and_thresholds import DEFAULT_THRESHOLD
from models.metrics import many_labels, one_class
from models.metrics.arrays import Floats, Probabilities, Truth


@dataclass(frozen=True)
class Metric:
    """One number that says how good answers are."""

    name: str
    direction: Literal["higher", "lower"]
    """Which way is better."""
    tasks: frozenset[Task]
    """Tasks that it is defined for."""
    compute: one_class.OneClass | None = None
    """NaN where it is not defined. Absent: defined for many labels a row only."""
    compute_many: many_labels.ManyLabels | None = None
    """The same for truth as zeros and ones (n, k), with thresholds (k,) in place of the positive class."""
    of: Literal["answers", "probabilities"] = "answers"
    """What it looks at: only what is answered, or how sure that is as well."""


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


SINGLE: frozenset[Task] = frozenset({"binary", "multiclass"})
MANY: frozenset[Task] = frozenset({"multilabel"})
ANY = SINGLE | MANY
METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "higher", SINGLE, one_class.accuracy),
        Metric("balanced_accuracy", "higher", SINGLE, one_class.balanced_accuracy),
        Metric("f1_macro", "higher", ANY, one_class.f1_macro, many_labels.f1_macro),
        Metric("f1_weighted", "higher", ANY, one_class.f1_weighted, many_labels.f1_weighted),
        Metric("f1", "higher", frozenset({"binary"}), one_class.f1),
        Metric("roc_auc", "higher", ANY, one_class.roc_auc, many_labels.roc_auc, of="probabilities"),
        Metric("log_loss", "lower", SINGLE, one_class.log_loss, of="probabilities"),
        Metric("f1_micro", "higher", MANY, None, many_labels.f1_micro),
        Metric("f1_samples", "higher", MANY, None, many_labels.f1_samples),
        Metric("subset_accuracy", "higher", MANY, None, many_labels.subset_accuracy),
        Metric("hamming_loss", "lower", MANY, None, many_labels.hamming_loss),
        Metric(
            "label_ranking_average_precision",
            "higher",
            MANY,
            None,
            many_labels.label_ranking_average_precision,
            of="probabilities",
        ),
        Metric("coverage_error", "lower", MANY, None, many_labels.coverage_error, of="probabilities"),
    )
}
"""Name to metric; those that `gate.metric` may name."""
