"""Weights of classes that suit a metric, where the configuration leaves them open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CLASS_WEIGHTS = "class_weights"
OF_CLASSES = ("f1", "f1_macro")
"""Metrics for which a rare class counts as much as a common one."""
WEIGHTS: Mapping[str, str] = {
    "catboost": "sqrt_balanced",
    "linear_text": "balanced",
    "logistic": "balanced",
    "logistic_batches": "balanced",
}
"""Estimator to the weights of rows by which it does best in those (docs/decisions/defaults.md)."""


def with_suiting(params: Mapping[str, Any], *, estimator: str, task: str, metric: str) -> dict[str, Any]:
    """Parameters of an estimator, with weights of classes that suit the metric where none are given.

    >>> with_suiting({}, estimator="catboost", task="binary", metric="f1")
    {'class_weights': 'sqrt_balanced'}
    >>> with_suiting({"class_weights": "equal"}, estimator="catboost", task="binary", metric="f1")
    {'class_weights': 'equal'}
    """
    if CLASS_WEIGHTS in params or metric not in OF_CLASSES or task == "multilabel":
        return dict(params)
    weights = WEIGHTS.get(estimator)
    return dict(params) if weights is None else {**params, CLASS_WEIGHTS: weights}
