"""Paired bootstrap: how sure is it that one model is better than another on the same rows?

Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 6 and 13.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from models.gate.metrics import Floats, Probabilities, Truth, compute, rises

FEW_DRAWS = 5
"""Where fewer lie beyond an end of the interval, they do not tell where it is."""
CELLS = 1_000_000
"""Weights held at a time, to bound memory."""


@dataclass(frozen=True)
class Interval:
    """A bootstrap percentile interval."""

    low: float
    high: float
    level: float


def interval_of(differences: NDArray[np.float64], level: float) -> Interval | None:
    """The middle share `level` of the draws on which the metric is defined; None where there is none.

    Too far out for so many draws it is that of a normal distribution with their mean and deviation.
    """
    finite = differences[np.isfinite(differences)]
    if not finite.size:
        return None
    if finite.size * (1 - level) / 2 < FEW_DRAWS:
        reach = NormalDist().inv_cdf((1 + level) / 2) * float(finite.std())
        middle = float(finite.mean())
        return Interval(middle - reach, middle + reach, level)
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level)


def resampled_differences(
    metric: str,
    y_true: Truth,
    challenger: Probabilities,
    production: Probabilities,
    *,
    resamples: int,
    seed: int,
    positive: int = 1,
    thresholds: tuple[Probabilities, Probabilities] | None = None,
    row_weights: Floats | None = None,
) -> NDArray[np.float64]:
    """Gain of the challenger over production on each of `resamples` draws of the rows, more being better.

    Both are judged on the very rows of each draw, so what is hard for both cancels out.

    Args:
        metric: name in `METRICS`; the difference of one where lower is better is turned round.
        y_true: class indices, shape (n,); for multilabel zeros and ones, shape (n, k).
        challenger: probabilities, shape (n, k).
        production: probabilities for the same rows and classes.
        resamples: number of draws, of n rows each, with replacement.
        seed: the same seed gives the same draws.
        positive: index of the positive class (binary metrics).
        thresholds: the challenger's and production's, shape (k,) each (multilabel); default 0.5.
        row_weights: what each row counts for wherever it is drawn, shape (n,); default 1.

    Returns:
        Shape (resamples,); NaN where the metric is not defined on a draw.
    """
    sign = 1.0 if rises(metric) else -1.0
    own, others = thresholds or (None, None)
    random = np.random.default_rng(seed)
    at_once = max(1, CELLS // max(1, len(y_true)))
    parts = []
    for start in range(0, resamples, at_once):
        weights = draw_weights(random, len(y_true), min(at_once, resamples - start))
        if row_weights is not None:
            weights *= row_weights
        gained = compute(metric, y_true, challenger, weights, positive, own)
        had = compute(metric, y_true, production, weights, positive, others)
        parts.append(sign * (gained - had))
    return np.concatenate(parts)


def draw_weights(random: np.random.Generator, rows: int, draws: int) -> Floats:
    """How often each row comes in each draw, shape (draws, rows)."""
    if not rows:
        return np.zeros((draws, 0))
    drawn = random.integers(0, rows, size=(draws, rows)) + np.arange(draws)[:, np.newaxis] * rows
    return np.bincount(drawn.ravel(), minlength=draws * rows).reshape(draws, rows).astype(np.float64)
