"""Metrics of answers with any number of labels, weighted like those of one label.

Truth is zeros and ones (n, k), answers are probabilities (n, k) with the thresholds (k,) from which a
label is given. Definitions are those of scikit-learn, with 0 where a share is not defined.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.estimators.labels_and_thresholds import assign_labels
from models.metrics.arrays import Floats, Probabilities, Truth, mean_where, ratio
from models.metrics.one_class import ranking_area

ManyLabels = Callable[[Truth, Probabilities, Floats, Probabilities], Floats]
"""Truth (n, k), probabilities (n, k), weights (r, n) and thresholds (k,) to r values."""
CHUNK = 256


def f1_micro(y: Truth, p: Probabilities, weights: Floats, thresholds: Probabilities) -> Floats:
    """Over all labels of all rows together."""
    hits, support, predicted = (sums.sum(axis=1) for sums in _label_sums(y, p, weights, thresholds))
    return ratio(2 * hits, support + predicted, np.where(weights.sum(axis=1) > 0, 0.0, np.nan))


def f1_macro(y: Truth, p: Probabilities, weights: Floats, thresholds: Probabilities) -> Floats:
    """Mean over the labels that are true or predicted somewhere."""
    hits, support, predicted = _label_sums(y, p, weights, thresholds)
    counted = support + predicted > 0
    return ratio((ratio(2 * hits, support + predicted) * counted).sum(axis=1), counted.sum(axis=1), np.nan)


def f1_weighted(y: Truth, p: Probabilities, weights: Floats, thresholds: Probabilities) -> Floats:
    """Mean over labels by their number of rows."""
    hits, support, predicted = _label_sums(y, p, weights, thresholds)
    return ratio((ratio(2 * hits, support + predicted) * support).sum(axis=1), support.sum(axis=1), np.nan)


def f1_samples(y: Truth, p: Probabilities, weights: Floats, thresholds: Probabilities) -> Floats:
    """Mean over rows of the F1 of a row's labels."""
    predicted = assign_labels(p, thresholds)
    hits = (predicted & (y == 1)).sum(axis=1)
    return _mean(ratio(2.0 * hits, y.sum(axis=1) + predicted.sum(axis=1)), weights)


def subset_accuracy(y: Truth, p: Probabilities, weights: Floats, thresholds: Probabilities) -> Floats:
    """Share of rows whose labels are all right, none missing and none too many."""
    return _mean((assign_labels(p, thresholds) == y).all(axis=1), weights)


def hamming_loss(y: Truth, p: Probabilities, weights: Floats, thresholds: Probabilities) -> Floats:
    """Share of wrong yes-or-no answers."""
    return _mean((assign_labels(p, thresholds) != y).mean(axis=1), weights)


def roc_auc(y: Truth, p: Probabilities, weights: Floats, _thresholds: Probabilities) -> Floats:
    """Each label by itself, averaged over those that some rows have and others have not."""
    if not p.shape[1]:
        return np.full(len(weights), np.nan)
    areas = np.stack([ranking_area(p[:, at], y[:, at] == 1, weights) for at in range(p.shape[1])], axis=1)
    return mean_where(np.nan_to_num(areas), ~np.isnan(areas))


def label_ranking_average_precision(
    y: Truth, p: Probabilities, weights: Floats, _thresholds: Probabilities
) -> Floats:
    """Of the labels ranked as high as a true one, the share that are true; mean over true labels and rows."""
    return _mean(_by_chunks(_ranking_precision, y, p), weights)


def coverage_error(y: Truth, p: Probabilities, weights: Floats, _thresholds: Probabilities) -> Floats:
    """How far down the ranking one must go to have all true labels."""
    least = np.where(y == 1, p, np.inf).min(axis=1, initial=np.inf)
    return _mean((p >= least[:, np.newaxis]).sum(axis=1), weights)


def _ranking_precision(y: Truth, p: Probabilities) -> Floats:
    """By the order of each row: no label is held against every other, of which there may be thousands."""
    order = np.argsort(p, axis=1)
    ranked, truth = np.take_along_axis(p, order, axis=1), np.take_along_axis(y == 1, order, axis=1)
    places = np.broadcast_to(np.arange(p.shape[1]), p.shape)
    begins = np.ones(p.shape, dtype=np.bool_)
    begins[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
    # Where those with the same probability begin: all from there on are ranked as high.
    first = np.maximum.accumulate(np.where(begins, places, 0), axis=1)
    true = truth.sum(axis=1)
    below = np.take_along_axis(np.cumsum(truth, axis=1) - truth, first, axis=1)
    share = (true[:, np.newaxis] - below) / (p.shape[1] - first)
    precision: Floats = np.where(true > 0, (share * truth).sum(axis=1) / np.maximum(true, 1), 1.0)
    return precision


def _by_chunks(of: Callable[[Truth, Probabilities], Floats], y: Truth, p: Probabilities) -> Floats:
    parts = [of(y[start : start + CHUNK], p[start : start + CHUNK]) for start in range(0, len(y), CHUNK)]
    return np.concatenate(parts) if parts else np.zeros(0)


def _label_sums(
    y: Truth, p: Probabilities, weights: Floats, thresholds: Probabilities
) -> tuple[Floats, Floats, Floats]:
    """Weight of the rows that have each label and are predicted to, that have it, that are predicted to."""
    predicted, truth = assign_labels(p, thresholds).astype(np.float64), y.astype(np.float64)
    return weights @ (truth * predicted), weights @ truth, weights @ predicted


def _mean(values: NDArray[np.generic], weights: Floats) -> Floats:
    return ratio(weights @ values.astype(np.float64), weights.sum(axis=1), np.nan)
