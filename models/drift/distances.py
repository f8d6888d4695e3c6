"""How far each column has moved: distances and tests as Evidently measures them; deciding is outside.

Methods are pinned by the configuration, as Evidently's defaults change at 1,000 rows. They give the numbers
that its own functions give, of what is sorted and counted once: tests hold them to that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial import distance

from configs.schema import DriftConfig
from models.drift.forms import Form
from models.drift.summaries import Categories, Floats, Numbers, Side, Summary, add_counts, over_columns

# Tests answer with a p-value, which falls as samples part; distances rise.
P_VALUE_METHODS = frozenset({"ks", "chisquare"})
LEAST_DEVIATION = 0.001
"""Evidently's: numbers that vary less count as if they varied so much."""
FEW_VALUES = 20
"""Evidently's: numbers with no more are compared one by one, others by a histogram."""
EXACT_ROWS = 10_000
"""SciPy's: up to so many rows Kolmogorov and Smirnov's test is exact."""
LEAST_SHARE, TINY = 0.0001, 10**6
"""Evidently's: what stands for a share of 0 in a population stability index."""


def measure_distances(
    config: DriftConfig, forms: Mapping[str, Form], reference: Side, current: Side
) -> Mapping[str, tuple[str, float]]:
    """Column to method and value, where it can be measured, in the forms in which columns are compared."""

    def measure_one(name: str) -> tuple[str, float]:
        form = forms[name]
        before, now = (form.of(side.summaries[name]) for side in (reference, current))
        numeric, categorical = config.numeric_method, config.categorical_method
        method = numeric if isinstance(before, Numbers) else categorical
        return method, measure(method, before, now)

    measured = over_columns(measure_one, forms, reference.rows + current.rows)
    return {name: one for name, one in measured.items() if np.isfinite(one[1])}


def is_beyond(method: str, value: float, threshold: float) -> bool:
    """Whether a column has moved far enough to matter."""
    return value < threshold if method in P_VALUE_METHODS else value > threshold


def measure(method: str, before: Summary, now: Summary) -> float:
    """One distance or p-value; not a number where there is nothing to measure."""
    with np.errstate(invalid="ignore", divide="ignore"):
        if isinstance(before, Numbers) and isinstance(now, Numbers):
            if not len(before.values) or not len(now.values):
                return float("nan")
            return float(NUMERIC[method](before, now))
        assert isinstance(before, Categories) and isinstance(now, Categories)
        return float(CATEGORICAL[method](*_align(before.present, now.present)))


def normed_wasserstein(before: Numbers, now: Numbers) -> float:
    """Wasserstein's distance in deviations of the first."""
    return wasserstein(before.values, now.values) / max(float(np.std(before.values)), LEAST_DEVIATION)


def wasserstein(first: Floats, second: Floats) -> float:
    """Mean distance of the quantiles of two samples, both rising.

    Of n values each holds one nth of the quantiles, which lies within at most two of the m shares of the
    smaller sample. Where those part is told in whole numbers, of which n * m are the whole.

    >>> wasserstein(np.array([0.0, 1.0, 3.0]), np.array([5.0, 6.0, 8.0]))
    5.0
    """
    many, few = (first, second) if len(first) >= len(second) else (second, first)
    n, m = len(many), len(few)
    if n == m:
        return _mean(np.abs(many - few))
    starts = np.arange(n, dtype=np.int64) * m
    place = starts // n
    # Of the m parts of each share so many lie in the one place, the others in the next.
    within = np.minimum((place + 1) * n - starts, m) / m
    here = np.abs(many - few[place])
    there = np.abs(many - few[np.minimum(place + 1, m - 1)])
    return _mean(within * here + (1 - within) * there)


def _mean(values: Floats) -> float:
    # Divided first, for the sum may be more than 64 bits hold.
    return float((values / len(values)).sum())


def kolmogorov_smirnov(before: Numbers, now: Numbers) -> float:
    """P-value of the two-sided test of two samples."""
    first, second = before.values, now.values
    if max(len(first), len(second)) <= EXACT_ROWS:
        return float(stats.ks_2samp(first, second).pvalue)
    apart = max(_most_ahead(first, second), _most_ahead(second, first))
    rows = len(first) * len(second) / (len(first) + len(second))
    return float(np.clip(stats.kstwo.sf(apart, np.round(rows)), 0, 1))


def _most_ahead(first: Floats, second: Floats) -> float:
    """By how much the share of the first up to a value is above that of the second at most."""
    own = np.arange(1, len(first) + 1) / len(first)
    return float((own - np.searchsorted(second, first, side="right") / len(second)).max())


def _shares(before: Numbers, now: Numbers) -> tuple[Floats, Floats]:
    """Of each bin of a histogram, or of each number where there are few."""
    if before.distinct <= FEW_VALUES:
        counts = [dict(zip(*np.unique(one.values, return_counts=True), strict=True)) for one in (before, now)]
        first, second = _align(*counts)
        return first / first.sum(), second / second.sum()
    edges = np.histogram_bin_edges(np.concatenate([before.values, now.values]), bins="sturges")
    first, second = (_histogram(one.values, edges) / len(one.values) for one in (before, now))
    return first, second


def _histogram(values: Floats, edges: Floats) -> NDArray[np.int_]:
    """Numbers in each bin, of which the last has its upper edge as well."""
    below = np.searchsorted(values, edges, side="left")
    below[-1] = np.searchsorted(values, edges[-1], side="right")
    return np.diff(below)


def stability_index(before: Floats, now: Floats) -> float:
    """Population stability index of shares."""
    first, second = map(_without_zeros, (before, now))
    return float(((first - second) * np.log(first / second)).sum())


def _without_zeros(shares: Floats) -> Floats:
    least = shares[shares != 0].min()
    return np.where(shares == 0, least / TINY if least <= LEAST_SHARE else LEAST_SHARE, shares)


def _chi_square(before: Floats, now: Floats) -> float:
    return float(stats.chisquare(now, before * (now.sum() / before.sum())).pvalue)


def _align(before: Mapping[Any, int], now: Mapping[Any, int]) -> tuple[Floats, Floats]:
    """Counts of the values of both, in one order."""
    names = add_counts([*before.items(), *now.items()])
    first, second = (
        np.array([counts.get(name, 0) for name in names], dtype=np.float64) for counts in (before, now)
    )
    return first, second


NUMERIC: Mapping[str, Callable[[Numbers, Numbers], float]] = {
    "wasserstein": normed_wasserstein,
    "psi": lambda before, now: stability_index(*_shares(before, now)),
    "jensenshannon": lambda before, now: distance.jensenshannon(*_shares(before, now)),
    "ks": kolmogorov_smirnov,
}
CATEGORICAL: Mapping[str, Callable[[Floats, Floats], float]] = {
    "psi": lambda before, now: stability_index(before / before.sum(), now / now.sum()),
    "jensenshannon": distance.jensenshannon,
    "chisquare": _chi_square,
}
