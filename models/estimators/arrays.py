"""What estimators are given: encoded rows, and the classes of each; all at once, or part by part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]
"""Encoded rows, n first."""
Targets = NDArray[np.int64]
"""Class indices (n,), or zeros and ones (n, n_classes) where a row may have several labels."""
PART_ROWS = 65_536
"""Rows of a part."""


class EncodedRows(Protocol):
    """Encoded rows of which a part at a time is in hand: any part, as often as it is asked for.

    The same rows are always in the same parts: of `PART_ROWS` rows each, but for the last.
    """

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        ...

    @property
    def parts(self) -> int:
        """How many parts there are."""
        ...

    def __len__(self) -> int:
        """How many rows there are."""
        ...

    def part(self, place: int) -> tuple[Features, Targets]:
        """The rows of one part, from 0, and their targets; not to be changed."""
        ...


class ArrayRows:
    """Rows that are all there, in parts."""

    def __init__(self, x: Features, y: Targets, *, most: int = PART_ROWS) -> None:
        self._x, self._y, self._most = x, y, most

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        return tuple(self._x.shape[1:])

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return -(-len(self._x) // self._most)

    def __len__(self) -> int:
        return len(self._x)

    def part(self, place: int) -> tuple[Features, Targets]:
        """A view of the rows of one part."""
        rows = slice(place * self._most, (place + 1) * self._most)
        return self._x[rows], self._y[rows]


def each_part(rows: EncodedRows) -> Iterator[tuple[Features, Targets]]:
    """All parts in order."""
    return map(rows.part, range(rows.parts))
