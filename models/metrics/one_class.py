"""Metrics of answers with one class each, for many weightings of the same rows at once.

Truth is class indices (n,), answers are probabilities (n, k), weights are (r, n): r values come of it.
Definitions are those of scikit-learn; a class without rows is left out where its share is not defined.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.metrics.arrays import Floats, Probabilities, Truth, mean_where, ratio

OneClass = Callable[[Truth, Probabilities, Floats, int], Floats]
"""Class indices (n,), probabilities (n, k), weights (r, n), place of the positive class: to r values."""
LEAST_PROBABILITY = 1e-7
"""Log loss counts a smaller one as this, so that one sure mistake is not infinite."""


def accuracy(y: Truth, p: Probabilities, weights: Floats, _positive: int) -> Floats:
    """Share of rows answered rightly."""
    return ratio(weights @ (p.argmax(axis=1) == y), weights.sum(axis=1), np.nan)


def balanced_accuracy(y: Truth, p: Probabilities, weights: Floats, _positive: int) -> Floats:
    """Mean over the classes that have rows of the share of theirs answered rightly."""
    hits, support, _ = _class_sums(y, p, weights)
    return mean_where(ratio(hits, support), support > 0)


def f1_macro(y: Truth, p: Probabilities, weights: Floats, _positive: int) -> Floats:
    """Mean over the classes that are true or answered somewhere."""
    hits, support, answered = _class_sums(y, p, weights)
    return mean_where(ratio(2 * hits, support + answered), support + answered > 0)


def f1_weighted(y: Truth, p: Probabilities, weights: Floats, _positive: int) -> Floats:
    """Mean over classes by their number of rows."""
    hits, support, answered = _class_sums(y, p, weights)
    weighted = (ratio(2 * hits, support + answered) * support).sum(axis=1)
    return ratio(weighted, support.sum(axis=1), np.nan)


def f1(y: Truth, p: Probabilities, weights: Floats, positive: int) -> Floats:
    """Of the positive class."""
    hits, support, answered = (sums[:, positive] for sums in _class_sums(y, p, weights))
    return ratio(2 * hits, support + answered)


def log_loss(y: Truth, p: Probabilities, weights: Floats, _positive: int) -> Floats:
    """Mean of minus the logarithm of the true class's probability."""
    of_truth = p[np.arange(len(y)), y].astype(np.float64)
    losses = -np.log(np.clip(of_truth, LEAST_PROBABILITY, 1.0))
    return ratio(weights @ losses, weights.sum(axis=1), np.nan)


def roc_auc(y: Truth, p: Probabilities, weights: Floats, positive: int) -> Floats:
    """One class against the rest, averaged over classes; of the positive class alone if there are two."""
    places = [positive] if p.shape[1] == 2 else range(p.shape[1])
    areas = np.stack([ranking_area(p[:, place], y == place, weights) for place in places], axis=1)
    return mean_where(np.nan_to_num(areas), ~np.isnan(areas))


def ranking_area(scores: NDArray[np.float32], is_positive: NDArray[np.bool_], weights: Floats) -> Floats:
    """Share of pairs (positive, negative) in which the positive has the higher score; a tie counts half."""
    order = np.argsort(scores, kind="stable")
    ordered = weights[:, order]
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.nan) != 0)
    if not len(starts):
        return np.full(len(weights), np.nan)
    above = np.add.reduceat(ordered * is_positive[order], starts, axis=1)
    below = np.add.reduceat(ordered * ~is_positive[order], starts, axis=1)
    pairs = (above * (np.cumsum(below, axis=1) - below / 2)).sum(axis=1)
    return ratio(pairs, above.sum(axis=1) * below.sum(axis=1), np.nan)


def _class_sums(y: Truth, p: Probabilities, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """Weight of the rows that are of each class and answered so, that are of it, that are answered so."""
    eye = np.eye(p.shape[1])
    truth, answer = eye[y], eye[p.argmax(axis=1)]
    return weights @ (truth * answer), weights @ truth, weights @ answer
