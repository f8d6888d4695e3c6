"""What estimators are given: encoded rows, and the classes of each; all at once, or part by part."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]
"""Encoded rows, n first."""
Targets = NDArray[np.int64]
"""Class indices (n,), or zeros and ones (n, n_classes) where a row may have several labels."""
PART_ROWS = 65_536
"""Rows of a part, where a row has at most 1,024 numbers."""
PART_BYTES = 2**28
"""Of a part of wider rows, as pictures are; those who learn hold a few of them."""


def part_rows(row_shape: Sequence[int]) -> int:
    """Rows of a part, where each row has this shape.

    >>> part_rows((20,)), part_rows((224, 224, 3))
    (65536, 445)
    """
    return max(1, min(PART_ROWS, PART_BYTES // (4 * max(1, math.prod(row_shape)))))


class EncodedRows(Protocol):
    """Encoded rows of which a part at a time is in hand: any part, as often as it is asked for.

    The same rows are always in the same parts: of as many rows as `part_rows` says, but for the last.
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

    def __init__(self, x: Features, y: Targets, *, most: int | None = None) -> None:
        self._x, self._y, self._most = x, y, most or part_rows(x.shape[1:])

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
