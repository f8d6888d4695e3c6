"""What the columns of one side hold, read once: numbers sorted, categories counted; comparing is outside.

All that a comparison asks of a column is asked of its summary, so that a million rows are sorted or counted
once, on all cores, and not for each question.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MISSING = "(missing)"
"""Missing categories, as one of their own: to go missing is to move."""
MANY_CELLS = 2_000_000
"""From so many on threads are worth their start."""

Floats = NDArray[np.float64]
Rows = slice | NDArray[np.intp]
Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Numbers:
    """A column of numbers."""

    values: Floats
    """Those that are there, rising."""
    rows: int
    """With those where it is missing."""
    share_up: float = 0.0
    """Share of steps up, from record to record."""

    @property
    def missing(self) -> int:
        """Rows without a number."""
        return self.rows - len(self.values)

    @cached_property
    def distinct(self) -> int:
        """How many different numbers there are."""
        return int(np.count_nonzero(self.values[1:] != self.values[:-1])) + bool(len(self.values))

    @property
    def first(self) -> float:
        """The least."""
        return float(self.values[0])

    def count(self, value: float) -> int:
        """How many rows have this number."""
        first, last = (int(np.searchsorted(self.values, value, side=side)) for side in ("left", "right"))
        return last - first


@dataclass(frozen=True)
class Categories:
    """A column of categories."""

    counts: Mapping[Any, int]
    """Value to rows, in the order in which they come first; None: it is missing."""
    rows: int

    @property
    def missing(self) -> int:
        """Rows without a value."""
        return self.counts.get(None, 0)

    @property
    def distinct(self) -> int:
        """How many different values there are."""
        return len(self.present)

    @property
    def first(self) -> Any:
        """That which comes first."""
        return next(iter(self.present))

    def count(self, value: Any) -> int:
        """How many rows have this value."""
        return self.present.get(value, 0)

    @cached_property
    def present(self) -> Mapping[Any, int]:
        """Those that are there."""
        return {value: count for value, count in self.counts.items() if value is not None}

    @cached_property
    def marked(self) -> Mapping[Any, int]:
        """Those that are there, and `MISSING`."""
        return add_counts((MISSING if value is None else value, n) for value, n in self.counts.items())


Summary = Numbers | Categories


@dataclass(frozen=True)
class Side:
    """Rows of a frame that are compared, oldest first."""

    values: Mapping[str, NDArray[Any]]
    """Column to all values of the frame."""
    taken: Rows
    """Which of them are compared."""
    rows: int
    summaries: Mapping[str, Summary]

    def draw(self, name: str, places: NDArray[np.intp]) -> NDArray[Any]:
        """The values of a column in some of the rows that are compared."""
        return self.values[name][self.taken][places]


def read_side(
    frame: pd.DataFrame, taken: Rows = slice(None), *, categories: Collection[str] | None = None
) -> Side:
    """Summaries of all columns.

    Args:
        frame: object columns are categories, others numbers.
        taken: the rows that are looked at.
        categories: columns that are categories, whatever they are here; None: as the frame has them.
    """
    kinds = category_columns(frame) if categories is None else categories
    values = {name: _values(frame[name], name in kinds) for name in frame.columns}
    rows = len(np.empty(len(frame), dtype=np.bool_)[taken])
    summaries = over_columns(lambda name: summarise(values[name][taken]), values, rows)
    return Side(values, taken, rows, summaries)


def category_columns(frame: pd.DataFrame) -> frozenset[str]:
    """Columns whose values are categories, rather than numbers."""
    return frozenset(name for name in frame.columns if frame[name].dtype == object)


def summarise(values: NDArray[Any]) -> Summary:
    """Of numbers, where NaN is missing, or of objects, where None and NaN are."""
    return _count_categories(values) if values.dtype == object else _sort_numbers(values)


def over_columns(make: Callable[[Given], Made], names: Iterable[Given], rows: int) -> dict[Given, Made]:
    """What a function makes of each column; of many rows in threads, as NumPy leaves Python to others."""
    listed = list(names)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores == 1 or rows * len(listed) < MANY_CELLS:
        return {name: make(name) for name in listed}
    with ThreadPoolExecutor(cores, thread_name_prefix="drift") as threads:
        return dict(zip(listed, threads.map(make, listed), strict=True))


def add_counts(counts: Iterable[tuple[Any, int]]) -> dict[Any, int]:
    """Value to the sum of its counts, in the order in which they come first."""
    added: dict[Any, int] = {}
    for value, count in counts:
        added[value] = added.get(value, 0) + count
    return added


def _values(column: pd.Series, is_category: bool) -> NDArray[Any]:
    if is_category:
        return column.to_numpy(dtype=object)
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _sort_numbers(values: Floats) -> Numbers:
    present = values[~np.isnan(values)]
    up = float((present[1:] > present[:-1]).mean()) if len(present) > 1 else 0.0
    present.sort()
    return Numbers(present, len(values), up)


def _count_categories(values: NDArray[np.object_]) -> Categories:
    codes, names = pd.factorize(values)
    missing, *counts = np.bincount(codes + 1, minlength=len(names) + 1).tolist()
    pairs = list(zip(names.tolist(), counts, strict=True))
    if missing:
        # Before it came as many different ones as the highest code says.
        place = int(codes[: (codes < 0).argmax()].max(initial=-1)) + 1
        pairs.insert(place, (None, missing))
    return Categories(dict(pairs), len(values))
