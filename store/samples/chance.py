"""Rows drawn by their numbers and a seed: the same ones whatever the order in which numbers come.

Each number has a key, mixed as by SplitMix64; drawn are those of the least keys. So no list of all rows is
made, and a row that came later puts at most one other out of the draw.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
_STEP = np.uint64(0x9E3779B97F4A7C15)


class Lots:
    """A draw of at most so many numbers of all that are put in."""

    def __init__(self, count: int, seed: int) -> None:
        self.put_in = 0
        """How many numbers there were."""
        self._count = count
        self._seed = seed
        self._kept: Numbers = np.array([], dtype=np.int64)

    def add(self, numbers: Numbers) -> None:
        """Put in different ones, which were not put in before."""
        self.put_in += len(numbers)
        self._kept = draw(np.concatenate([self._kept, numbers]), self._count, self._seed)

    @property
    def drawn(self) -> Numbers:
        """Those that are drawn, rising; all where there are not more."""
        return np.sort(self._kept)


def draw(numbers: Numbers, count: int, seed: int) -> Numbers:
    """At most `count` of n different numbers, by chance; shape (min(n, count),), in any order."""
    if len(numbers) <= count:
        return numbers
    keys = _keys(numbers, seed)
    return np.asarray(numbers[np.argpartition(keys, count - 1)[:count]])


def _keys(numbers: Numbers, seed: int) -> NDArray[np.uint64]:
    """A key for each number; of one seed no two have the same."""
    start = _mixed(np.array([seed], dtype=np.int64).view(np.uint64) + _STEP)
    return _mixed(numbers.astype(np.int64).view(np.uint64) * _STEP + start)


def _mixed(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(keys ^ (keys >> np.uint64(31)))
