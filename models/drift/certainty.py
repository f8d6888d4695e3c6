"""How certain it is that columns have moved: tests whose p-values hold at any size, for many columns at once.

A distance tells how far a column has moved, and at small sizes mostly what chance has drawn. A p-value tells
how seldom chance alone would draw as much, and at large sizes mostly that nothing is ever quite the same.
Together they tell what is large enough to matter and certain.

Every test holds whatever the distribution: ranks, and counts given the counts of both samples together.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from models.drift.summaries import Categories, Numbers, Side, Summary, add_counts, over_columns

FALSE_ALARMS = 0.001
"""Share of checks of columns that have not moved in which any is taken to have."""
WRONG_ONES = 0.05
"""Share of columns that have not moved among those that are named, where some certainly have."""
FEW_VALUES = 20
"""Numbers with no more are tested as categories are, as Evidently measures them."""
EXPECTED = 10.0
"""Least count of a category expected in either sample for a chi-square test of it by itself."""
MOST_COMMON = 0.1
"""Share of one number, a 0 say, from which on its count is tested apart from the others..."""
MIN_OTHERS = 10
"""...which are ranked where either sample has as many."""
LOOKED_AT = 8
"""Categories whose counts are tested one by one: those that stand out most."""
RANKED = 100_000
"""So many different numbers are ranked one by one; of more, neighbours share a rank..."""
RANKS = 20_000
"""...of about so many, whatever side they are of: the tests hold, and a 20,000th is soon told apart."""

Floats = NDArray[np.float64]
Counts = NDArray[np.int_]


def column_p_values(reference: Side, current: Side, names: Collection[str]) -> dict[str, float]:
    """Column to p-value: how seldom two samples of the same part as far.

    Args:
        reference: all values of the columns, the rare ones as well, as whichever are taken together by what
            both samples are would not be left to chance.
        current: the same.
        names: which columns.
    """
    before, now = reference.summaries, current.summaries
    rows = reference.rows + current.rows
    return over_columns(lambda name: _p_value(before[name], now[name]), names, rows)


def correct_for_many(p_values: Mapping[str, float]) -> dict[str, float]:
    """P-values corrected for their number: those below a level hold no larger a share of false ones.

    Where no column has moved, any is below the level as seldom as the level says (Y. Benjamini and
    Y. Hochberg, "Controlling the false discovery rate", Journal of the Royal Statistical Society B 57, 1995).

    >>> {name: round(p, 3) for name, p in correct_for_many({"a": 0.01, "b": 0.3, "c": 0.02}).items()}
    {'a': 0.03, 'b': 0.3, 'c': 0.03}
    """
    if not p_values:
        return {}
    corrected = stats.false_discovery_control(list(p_values.values()))
    return dict(zip(p_values, map(float, corrected), strict=True))


def level_needed(corrected: Collection[float]) -> float:
    """What corrected p-values must not be above: with none that is certain, none of all columns has moved.

    That some have moved is certain before any is named; then more are believed to be among them.
    """
    return WRONG_ONES if min(corrected, default=1.0) <= FALSE_ALARMS else FALSE_ALARMS


def _p_value(before: Summary, now: Summary) -> float:
    if isinstance(before, Numbers) and isinstance(now, Numbers):
        return _numbers_p_value(before.values, now.values)
    assert isinstance(before, Categories) and isinstance(now, Categories)
    names = add_counts([*before.marked.items(), *now.marked.items()])
    counts = (np.array([one.marked.get(name, 0) for name in names]) for one in (before, now))
    return _counts_p_value(*counts)


def _numbers_p_value(reference: Floats, current: Floats) -> float:
    """Whether location, spread, shape or the count of the most common number have moved.

    Wilcoxon's rank sum for location; the same of distances from the common median for spread, after
    Y. Lepage (Biometrika 58, 1971); Kolmogorov and Smirnov for what is left.
    """
    values, before, now = _count_values(reference, current)
    if len(values) <= FEW_VALUES:
        return _counts_p_value(before, now)
    p_values: list[float] = []
    most = (before + now).argmax()
    if before[most] + now[most] >= MOST_COMMON * (len(reference) + len(current)):
        p_values.append(_one_count_p_value(before, now, most))
        others = np.arange(len(values)) != most
        values, before, now = values[others], before[others], now[others]
    if min(before.sum(), now.sum()) >= MIN_OTHERS:
        p_values += _rank_p_values(values, before, now)
    return least_of(p_values)


def _counts_p_value(before: Counts, now: Counts) -> float:
    """Whether one value has become more or less common, by exact counts, or many have, by chi-square."""
    if len(before) == 1:
        return 1.0
    least = _least_count_p_value(before, now)
    if len(before) == 2:  # the one has what the other has not
        return least
    # Of all values, whichever were looked at.
    return least_of([min(1.0, len(before) * least), _chi_square_p_value(before, now)])


def _count_values(reference: Floats, current: Floats) -> tuple[Floats, Counts, Counts]:
    """The different numbers of both, rising, and how often each is in either.

    Of very many those between two that are counted count as the next: which, both samples say as one.
    """
    pool = np.sort(np.concatenate([reference, current]))
    is_last = np.append(pool[1:] != pool[:-1], np.True_)
    values = pool[is_last] if np.count_nonzero(is_last) <= RANKED else _spread_out(pool)
    before, now = (
        np.diff(np.searchsorted(side, values, side="right"), prepend=0) for side in (reference, current)
    )
    return values, before, now


def _spread_out(pool: Floats) -> Floats:
    """About `RANKS` of very many rising numbers, with the last; a common one is counted by itself."""
    spread = pool[len(pool) - 1 :: -(len(pool) // RANKS)][::-1]
    common = spread[1:][spread[1:] == spread[:-1]]
    below = pool[np.maximum(np.searchsorted(pool, common) - 1, 0)]
    return np.unique(np.concatenate([spread, below]))


def least_of(p_values: Sequence[float]) -> float:
    """One p-value of several tests of the same, by Bonferroni."""
    return min(1.0, len(p_values) * min(p_values, default=1.0))


def _rank_p_values(values: Floats, before: Counts, now: Counts) -> list[float]:
    """Of location, spread and shape of samples, by their counts of rising values."""
    total = np.cumsum(before + now)
    middle = values[np.searchsorted(total, total[-1] / 2)]
    distances, codes = np.unique(np.abs(values - middle), return_inverse=True)
    far = (np.bincount(codes, weights=counts, minlength=len(distances)) for counts in (before, now))
    apart = np.abs(np.cumsum(before) / before.sum() - np.cumsum(now) / now.sum()).max()
    rows = before.sum() * now.sum() / total[-1]
    return [
        _rank_sum_p_value(before, now),
        _rank_sum_p_value(*far),
        float(special.kolmogorov(np.sqrt(rows) * apart)),
    ]


def _rank_sum_p_value(before: Counts | Floats, now: Counts | Floats) -> float:
    """Of Wilcoxon's test by the normal approximation, with the variance that ties leave."""
    total = before + now
    rows, n = total.sum(), now.sum()
    ranks = np.cumsum(total) - (total - 1) / 2
    deviations = ranks - (rows + 1) / 2
    variance = n * (rows - n) / rows * (total * deviations**2).sum() / (rows - 1)
    if variance == 0:
        return 1.0
    return float(2 * special.ndtr(-abs((now * deviations).sum()) / np.sqrt(variance)))


def _least_count_p_value(before: Counts, now: Counts) -> float:
    """The least of the p-values of the counts that stand out most."""
    total, share = before + now, now.sum() / (before.sum() + now.sum())
    outstanding = np.abs(now - share * total) / np.sqrt(total)
    return _one_count_p_value(before, now, np.argsort(outstanding, kind="stable")[-LOOKED_AT:])


def _one_count_p_value(before: Counts, now: Counts, places: Counts | np.int_) -> float:
    """Of the rows of one value; of several values the least."""
    return float(np.min(count_p_value(before[places], now[places], before.sum(), now.sum())))


def count_p_value(before: Any, now: Any, reference_rows: int, current_rows: int) -> Any:
    """How seldom chance puts so many, or so few, rows of one kind into the second sample.

    Fisher's exact test, as the counts of both samples together are given; of arrays one by one.
    """
    drawn = reference_rows + current_rows, before + now, current_rows
    tails = stats.hypergeom.sf(now - 1, *drawn), stats.hypergeom.cdf(now, *drawn)
    return np.minimum(1.0, 2 * np.minimum(*tails))


def _chi_square_p_value(before: Counts, now: Counts) -> float:
    """Of homogeneity, the rarest taken together: which those are, both samples say as one."""
    total = before + now
    order = np.argsort(total, kind="stable")[::-1]
    needed = EXPECTED * total.sum() / min(before.sum(), now.sum())
    kept = int((total >= needed).sum())
    if kept and 0 < total[order[kept:]].sum() < needed:
        kept -= 1
    table = np.array([[*row[order[:kept]], row[order[kept:]].sum()] for row in (before, now)])
    table = table[:, table.sum(axis=0) > 0]
    return float(stats.chi2_contingency(table, correction=False).pvalue) if table.shape[1] > 1 else 1.0
