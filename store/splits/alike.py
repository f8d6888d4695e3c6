"""Rows that are nearly alike: a record sent a thousand times, one number changed in its last digit.

Equal records are told by their contents. These are told by cells, as wide as a small part of what is usual:
in a cell a few different rows count, which chance brings there, and no crowd.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from features.records.contract import Columns

CELLS = 500
"""Of a field between the quartiles of what is usual."""
MOST_ALIKE = 5
"""Different rows of a cell that count."""
Places = NDArray[np.intp]


def usual_spreads(columns: Columns) -> dict[str, float]:
    """How far a field's values usually lie apart, by its name: between the quartiles.

    Fields whose values are equal where they matter have none, as those that are no numbers and no times.

    Args:
        columns: of rows that nobody chose to make others seem alike: those that production learned from.
    """
    spreads = {}
    for name, column in columns.items():
        values = _as_numbers(column)
        if values is None or not np.isfinite(values).any():
            continue
        low, high = np.nanquantile(values[np.isfinite(values)], [0.25, 0.75])
        if high > low:
            spreads[name] = float(high - low)
    return spreads


def few_of_each(columns: Columns, spreads: Mapping[str, float], *, seed: int) -> Places:
    """Places of n rows, in their order: of each cell the rows of `MOST_ALIKE` different ones, by chance.

    Without spreads all rows.

    Args:
        spreads: of fields (`usual_spreads`); other fields must be equal.
        seed: of the draw.
    """
    rows = len(next(iter(columns.values()))) if columns else 0
    if rows <= MOST_ALIKE or not spreads:
        return np.arange(rows)
    exact = _numbered([_codes(column) for column in columns.values()])
    cells = _numbered([_cells(column, spreads.get(name)) for name, column in columns.items()])
    different, first = np.unique(exact, return_index=True)
    order = np.random.default_rng(seed).permutation(len(different))
    by_cell = order[np.argsort(cells[first][order], kind="stable")]
    ranked = cells[first][by_cell]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    rank = np.arange(len(ranked)) - np.repeat(starts, np.diff(np.append(starts, len(ranked))))
    return np.flatnonzero(np.isin(exact, different[by_cell[rank < MOST_ALIKE]]))


def _as_numbers(column: NDArray[np.generic]) -> NDArray[np.float64] | None:
    """A field of numbers or times, one a row; None: it is another."""
    if column.ndim != 1 or column.dtype.kind not in "fiuM":
        return None
    if column.dtype.kind == "M":
        return np.where(np.isnat(column), np.nan, column.astype(np.int64).astype(np.float64))
    return column.astype(np.float64)


def _cells(column: NDArray[np.generic], spread: float | None) -> NDArray[np.int64]:
    values = None if spread is None else _as_numbers(column)
    if values is None or spread is None:
        return _codes(column)
    return _codes(np.floor(values * (CELLS / spread)))


def _codes(column: NDArray[np.generic]) -> NDArray[np.int64]:
    """A number for each row, equal where the values are."""
    if column.ndim > 1:
        column = np.array([hash(row.tobytes()) for row in column], dtype=np.int64)
    values = column.astype(str) if column.dtype == object else column
    return np.asarray(np.unique(values, return_inverse=True)[1], dtype=np.int64)


def _numbered(columns: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """A number for each row, equal where all columns are."""
    numbers = np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)[1]
    return np.asarray(numbers, dtype=np.int64).ravel()
