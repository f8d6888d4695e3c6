"""Where the numbers of training rows lie: medians, moments, fences, and bounds of what is plausible.

Tukey's rule gives the fences for outliers: John W. Tukey, "Exploratory Data Analysis" (1977).

By the plausible bounds one absurd value does not flatten a feature. They are far wider than fences: for what
cannot be meant (1e308, the year 2999 among dates of one month), not for what is rare. They lie as far beyond
the 95 % of values nearest to the median as those reach beyond the typical one, on a scale that is logarithmic
for large distances, and at least eight times as far. For normal numbers that is about 16 standard deviations;
for those with a long tail it is about where one in 10,000 lies. Median and quantiles stand for mean and
deviation, as in Huber and Ronchetti, "Robust Statistics" (2009).

Outer bounds are as far again beyond them on that scale, at least 67 times as far as the values nearest to the
median: no honest value lies there, though the tail be long (one in 30,000 of Pareto's with an infinite mean).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

NEAR = 0.95
"""Share of values that is believed; of few, always all but the farthest."""
LEAST_RATIO = 4.0
"""Of the distance of those to the typical one: of even numbers it is small, and the next may lie outside."""
LEAST_VALUES = 50
"""Of fewer there are no outer bounds: they do not show how long a tail is."""

Floats = NDArray[np.float64]


def bounds_of_columns(values: Floats, bounded: Sequence[bool], limit: float) -> tuple[Floats, Floats]:
    """Least and greatest plausible number of each column (n, columns); -limit and limit where not bounded."""
    low, high = np.full(values.shape[1], -limit), np.full(values.shape[1], limit)
    for place in np.flatnonzero(bounded):
        first, last = plausible_bounds(values[:, place])
        low[place], high[place] = max(first, -limit), min(last, limit)
    return low, high


def outer_bounds_of_columns(values: Floats, bounded: Sequence[bool]) -> tuple[Floats, Floats]:
    """Outer bounds of each column (n, columns); infinite where not bounded, or of too few values."""
    low, high = np.full(values.shape[1], -np.inf), np.full(values.shape[1], np.inf)
    for place in np.flatnonzero(bounded):
        if np.count_nonzero(~np.isnan(values[:, place])) >= LEAST_VALUES:
            low[place], high[place] = plausible_bounds(values[:, place], outer=True)
    return low, high


def plausible_bounds(values: Floats, *, outer: bool = False) -> tuple[float, float]:
    """Least and greatest plausible number, by a column of training rows; infinite where nothing varies.

    Those of `outer` are farther: beyond them nothing is believed.

    Only values that differ from the median count for the distances, so that a number that is nearly always 0
    keeps its rare ones.

    >>> low, high = plausible_bounds(np.array([*range(101), 1e308]))
    >>> bool(-500 < low < -100 and 200 < high < 500)
    True
    """
    present = values[~np.isnan(values)]
    if not len(present):
        return -np.inf, np.inf
    # Halved, for the distance between two numbers may be more than 64 bits hold.
    median = float(np.quantile(present, 0.5, method="lower")) / 2
    distances = np.abs(present / 2 - median)
    distances = distances[distances > 0]
    if not len(distances):
        return -np.inf, np.inf
    typical, near = np.quantile(distances, (0.5, NEAR), method="lower").tolist()
    return bounds_around(median, typical, near, outer=outer)


def bounds_around(median: float, typical: float, near: float, *, outer: bool = False) -> tuple[float, float]:
    """Least and greatest plausible number, by the median and two distances from it.

    Args:
        median: half of it: the distance between two numbers may be more than 64 bits hold.
        typical: the median distance of those that differ from it, halved.
        near: the distance within which `NEAR` of them lie, halved.
        outer: the farther bounds.
    """
    with np.errstate(over="ignore"):
        ratio = max(np.float64(near) / typical, LEAST_RATIO)
        # sinh(2 asinh(ratio)) and sinh(3 asinh(ratio)): twice and three times as far on a logarithmic scale.
        factor = 3 + 4 * np.square(ratio) if outer else 2 * np.sqrt(1 + np.square(ratio))
        reach = float(np.minimum(2 * near * factor, np.finfo(np.float64).max / 4))
    return 2 * median - reach, 2 * median + reach


def fences(values: Floats, fenced: Sequence[bool], factor: float) -> tuple[Floats, Floats]:
    low = np.full(values.shape[1], -np.inf)
    high = np.full(values.shape[1], np.inf)
    for place, has_fences in enumerate(fenced):
        present = values[:, place][~np.isnan(values[:, place])]
        if not has_fences or not len(present):
            continue
        first, third = np.quantile(present, [0.25, 0.75])
        if third > first:
            reach = factor * (third - first)
            low[place], high[place] = first - reach, third + reach
    return low, high


def inside(values: Floats, low: Floats, high: Floats) -> NDArray[np.bool_]:
    beyond: NDArray[np.bool_] = np.any((values < low) | (values > high), axis=1)
    return ~beyond


def medians(values: Floats) -> Floats:
    present = [column[~np.isnan(column)] for column in values.T]
    return np.array([np.median(column) if len(column) else 0.0 for column in present], dtype=np.float64)


def moments(filled: Floats) -> tuple[Floats, Floats]:
    """Mean and deviation of each column; 1 where the column does not vary."""
    if not len(filled):
        return np.zeros(filled.shape[1]), np.ones(filled.shape[1])
    mean, deviation = filled.mean(axis=0), filled.std(axis=0)
    # Equal values may seem to vary by the rounding of their mean.
    return mean, np.where(deviation > 1e-12 * np.maximum(1, np.abs(mean)), deviation, 1.0)
