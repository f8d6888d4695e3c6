"""Quantiles of more numbers than are held, exact: not estimated, but found in a second look.

A sample tells between which two numbers a quantile lies; the numbers between them are kept, and all others
counted (Munro and Paterson, "Selection and sorting with limited storage", 1980; the sample as in Floyd and
Rivest, "Expected time bounds for selection", 1975). Where it lies outside after all, which is as good as
never, they are looked at once more, with all between the ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SAMPLED = 100_000
"""Numbers of the sample: of 10 million, about 120,000 are then kept for a median."""
SPREAD = 6.0
"""Deviations of the sample's rank within which a quantile is looked for."""
COMPACTED = 1_000_000
"""So many kept numbers are brought together, each with how often it came."""


@dataclass(frozen=True)
class Ranked:
    """What was found of a stream."""

    count: int
    """How many numbers it has."""
    values: list[float]
    """Those at the ranks that were wanted."""


class Between:
    """Numbers between two, each with how often it came, and how many lie below."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high
        self.below = 0
        self._parts: list[tuple[Floats, NDArray[np.int64]]] = []
        self._kept = 0

    def add(self, numbers: Floats) -> None:
        """Look at some, none of which is missing."""
        self.below += int(np.count_nonzero(numbers < self.low))
        inside = numbers[(numbers >= self.low) & (numbers <= self.high)]
        if len(inside):
            values, counts = np.unique(inside, return_counts=True)
            self._parts.append((values, counts.astype(np.int64)))
            self._kept += len(values)
        if self._kept > COMPACTED and len(self._parts) > 1:
            self._compact()

    def at(self, rank: int) -> float | None:
        """The number at a rank among all that were added, from 0; None: it is not between the two."""
        self._compact()
        if not self._parts or rank < self.below:
            return None
        values, counts = self._parts[0]
        place = int(np.searchsorted(np.cumsum(counts), rank - self.below, side="right"))
        return float(values[place]) if place < len(values) else None

    def _compact(self) -> None:
        if len(self._parts) < 2:
            return
        values = np.concatenate([part[0] for part in self._parts])
        counts = np.concatenate([part[1] for part in self._parts])
        together, places = np.unique(values, return_inverse=True)
        self._parts = [(together, np.bincount(places, weights=counts).astype(np.int64))]
        self._kept = len(together)


def quantiles_of(
    look: Callable[[], Iterable[Sequence[Floats]]],
    samples: Sequence[Floats],
    wanted: Sequence[Callable[[int], Sequence[int]]],
    shares: Sequence[Sequence[float]],
) -> list[Ranked]:
    """Numbers at ranks of several streams at once, by one look at them, or two.

    Args:
        look: begins a look: gives, batch by batch, the numbers of each stream, none of them missing.
        samples: of each stream some of its numbers, drawn at random.
        wanted: of each stream, the ranks that are wanted where there are so many numbers; rising.
        shares: of each stream, about where each of these ranks lies, between 0 and 1.

    Returns:
        Of each stream, how many numbers it has, and those at its ranks; none where it has none.
    """
    brackets = [
        [Between(*_bracket(np.sort(sample), share)) for share in of_stream]
        for sample, of_stream in zip(samples, shares, strict=True)
    ]
    counts = _look(look, brackets)
    ranks = [ask(count) if count else [] for ask, count in zip(wanted, counts, strict=True)]
    found = _read(brackets, ranks)
    missed = [place for place, of_stream in enumerate(found) if any(one is None for one in of_stream)]
    if missed:
        for place in missed:
            brackets[place] = [Between(-np.inf, np.inf) for _ in shares[place]]
        again = [one if place in missed else [] for place, one in enumerate(brackets)]
        _look(look, again)
        found = _read(brackets, ranks)
    return [
        Ranked(count, [one for one in of_stream if one is not None])
        for count, of_stream in zip(counts, found, strict=True)
    ]


def _look(look: Callable[[], Iterable[Sequence[Floats]]], brackets: Sequence[Sequence[Between]]) -> list[int]:
    """How many numbers each stream has, having told them to the brackets."""
    counts = [0] * len(brackets)
    for batch in look():
        for place, numbers in enumerate(batch):
            counts[place] += len(numbers)
            for bracket in brackets[place]:
                bracket.add(numbers)
    return counts


def _read(brackets: Sequence[Sequence[Between]], ranks: Sequence[Sequence[int]]) -> list[list[float | None]]:
    return [
        [bracket.at(rank) for bracket, rank in zip(of_stream, of_ranks, strict=False)]
        for of_stream, of_ranks in zip(brackets, ranks, strict=True)
    ]


def _bracket(ordered: Floats, share: float) -> tuple[float, float]:
    """Between which numbers of a sorted sample the one at a share of all is."""
    if not len(ordered):
        return -np.inf, np.inf
    middle = share * (len(ordered) - 1)
    reach = SPREAD * math.sqrt(len(ordered) * share * (1 - share)) + SPREAD
    first, last = math.floor(middle - reach), math.ceil(middle + reach)
    low = ordered[first] if first >= 0 else -np.inf
    return float(low), float(ordered[last] if last < len(ordered) else np.inf)


def lower_rank(share: float) -> Callable[[int], int]:
    """Rank of a quantile of n numbers as `numpy.quantile(..., method="lower")` takes it."""
    return lambda count: math.floor(share * (count - 1))


def quartile(share: float, count: int, below: float, above: float) -> float:
    """The quantile of n numbers as `numpy.quantile` takes it, by the two beside it."""
    rank = share * (count - 1)
    return float(np.quantile([below, above], rank - math.floor(rank)))
