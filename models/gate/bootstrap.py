"""How sure is it that one model is better than another on the same rows?

A paired bootstrap tells (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 6 and 13).
Where few rows are answered differently it is surer than they allow: three rows won and none lost lie above 0
in 95% of its draws, and chance does that once in eight times. There every deal of the answers is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from models.estimators.labels_and_thresholds import DEFAULT_THRESHOLD, assign_labels
from models.metrics.arrays import Floats, Probabilities, Truth
from models.metrics.catalogue import METRICS, compute, rises

FEW_DRAWS = 5
"""Where fewer lie beyond an end of the interval, they do not tell where it is."""
ENOUGH_ROWS = 12
"""So many rows that are answered differently need no other test than the bootstrap."""
CELLS = 1_000_000
"""Weights held at a time, to bound memory."""


@dataclass(frozen=True)
class Interval:
    """A bootstrap percentile interval."""

    low: float
    high: float
    level: float


@dataclass(frozen=True)
class Swaps:
    """What comes of dealing the answers of two models anew on the rows that they answer differently.

    If neither were better, each row's two answers would be as likely either's. So the share of deals that do
    as well is how likely chance does (the permutation test of pairs: R. A. Fisher, The Design of Experiments,
    1935, section 21; for accuracy the exact test of Q. McNemar, Psychometrika 12, 1947).
    """

    rows: int
    """That are answered differently."""
    as_good: float
    """Share of the deals in which the challenger gains at least as much."""
    as_bad: float
    """Share of the deals in which it gains at most as much."""


def interval_of(
    differences: NDArray[np.float64], level: float, swaps: Swaps | None = None
) -> Interval | None:
    """The middle share `level` of the draws on which the metric is defined; None where there is none.

    Too far out for so many draws it is that of a normal distribution with their mean and deviation. It holds
    0 wherever chance does as well more often than the level allows.
    """
    interval = _middle_of(differences[np.isfinite(differences)], level)
    if interval is None or swaps is None:
        return interval
    chance = (1 - level) / 2
    return Interval(
        min(interval.low, 0.0) if swaps.as_good > chance else interval.low,
        max(interval.high, 0.0) if swaps.as_bad > chance else interval.high,
        level,
    )


def _middle_of(finite: NDArray[np.float64], level: float) -> Interval | None:
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
    parts = []
    for weights in drawn_weights(len(y_true), resamples, seed, row_weights):
        gained = compute(metric, y_true, challenger, weights, positive, own)
        had = compute(metric, y_true, production, weights, positive, others)
        parts.append(sign * (gained - had))
    return np.concatenate(parts)


def resampled_scores(
    metric: str,
    y_true: Truth,
    probabilities: Probabilities,
    *,
    resamples: int,
    seed: int,
    positive: int = 1,
    thresholds: Probabilities | None = None,
    row_weights: Floats | None = None,
) -> NDArray[np.float64]:
    """The metric of one model on each of `resamples` draws of the rows, shape (resamples,).

    Arguments are those of `resampled_differences`.
    """
    draws = drawn_weights(len(y_true), resamples, seed, row_weights)
    parts = [compute(metric, y_true, probabilities, weights, positive, thresholds) for weights in draws]
    return np.concatenate(parts)


def drawn_weights(rows: int, resamples: int, seed: int, row_weights: Floats | None) -> Iterator[Floats]:
    """What each row counts for in so many draws, a few draws at a time."""
    random = np.random.default_rng(seed)
    at_once = max(1, CELLS // max(1, rows))
    for start in range(0, resamples, at_once):
        weights = draw_weights(random, rows, min(at_once, resamples - start))
        yield weights if row_weights is None else weights * row_weights


def draw_weights(random: np.random.Generator, rows: int, draws: int) -> Floats:
    """How often each row comes in each draw, shape (draws, rows)."""
    if not rows:
        return np.zeros((draws, 0))
    drawn = random.integers(0, rows, size=(draws, rows)) + np.arange(draws)[:, np.newaxis] * rows
    return np.bincount(drawn.ravel(), minlength=draws * rows).reshape(draws, rows).astype(np.float64)


def swap_answers(
    metric: str,
    y_true: Truth,
    challenger: Probabilities,
    production: Probabilities,
    *,
    positive: int = 1,
    thresholds: tuple[Probabilities, Probabilities] | None = None,
    row_weights: Floats | None = None,
) -> Swaps | None:
    """Deal the answers of both anew, in every way; None where enough rows tell without it.

    Arguments are those of `resampled_differences`.
    """
    if METRICS[metric].of != "answers":
        return None
    own, others = thresholds or (None, None)
    mine, theirs = _answers(challenger, y_true, own), _answers(production, y_true, others)
    tells = (mine != theirs).any(axis=1)
    count = int(tells.sum())
    if count >= ENOUGH_ROWS:
        return None
    weights = np.ones(len(y_true)) if row_weights is None else row_weights
    truth = np.concatenate([y_true[~tells], y_true[tells], y_true[tells]])
    answers = np.concatenate([mine[~tells], mine[tells], theirs[tells]])
    gains = []
    for swapped in _deals(count, len(truth)):
        alike = np.broadcast_to(weights[~tells], (len(swapped), len(y_true) - count))
        kept, given = weights[tells] * ~swapped, weights[tells] * swapped
        gained = compute(metric, truth, answers, np.concatenate([alike, kept, given], axis=1), positive)
        had = compute(metric, truth, answers, np.concatenate([alike, given, kept], axis=1), positive)
        gains.append((1.0 if rises(metric) else -1.0) * (gained - had))
    dealt = np.concatenate(gains)
    seen, near = dealt[0], 1e-12
    return Swaps(count, float((~(dealt < seen - near)).mean()), float((~(dealt > seen + near)).mean()))


def _answers(probabilities: Probabilities, y_true: Truth, thresholds: Probabilities | None) -> Probabilities:
    """What is answered, as probabilities of 0 and 1, shape (n, k)."""
    if y_true.ndim == 2:
        if thresholds is None:
            thresholds = np.full(probabilities.shape[1], DEFAULT_THRESHOLD, dtype=np.float32)
        return assign_labels(probabilities, thresholds).astype(np.float32)
    answers: Probabilities = np.eye(probabilities.shape[1], dtype=np.float32)[probabilities.argmax(axis=1)]
    return answers


def _deals(rows: int, width: int) -> Iterator[NDArray[np.bool_]]:
    """Which of so many rows are swapped in each deal, shape (deals, rows); in the first one none is."""
    deals = (np.arange(2**rows)[:, np.newaxis] >> np.arange(rows)) & 1 == 1
    at_once = max(1, CELLS // max(1, width))
    for start in range(0, len(deals), at_once):
        yield deals[start : start + at_once]
