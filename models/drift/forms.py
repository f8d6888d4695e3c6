"""In which form a column is compared: numbers without absurd ones, categories without rare ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.drift.summaries import MISSING, Categories, Floats, Numbers, Summary, add_counts

OTHERS = "(all others)"


class Form(Protocol):
    """The same change of a summary and of single values."""

    def of(self, summary: Any, /) -> Summary:
        """The summary as it is compared."""
        ...

    def draw(self, values: Any, /) -> NDArray[Any]:
        """Values of n rows as they are drawn."""
        ...


@dataclass(frozen=True)
class Clipped:
    """Numbers within what is plausible."""

    low: float
    high: float

    def of(self, summary: Numbers) -> Numbers:
        """A copy only where anything lies outside."""
        values = summary.values
        if not len(values) or (values[0] >= self.low and values[-1] <= self.high):
            return summary
        return Numbers(values.clip(self.low, self.high), summary.rows)

    def draw(self, values: Floats) -> Floats:
        """Missing ones stay missing."""
        return values.clip(self.low, self.high)


@dataclass(frozen=True)
class Joined:
    """Categories, all but the frequent ones as one."""

    frequent: frozenset[str]

    def of(self, summary: Categories) -> Categories:
        """With missing ones as a category."""
        return Categories(
            add_counts((self._name(value), count) for value, count in summary.counts.items()), summary.rows
        )

    def draw(self, values: NDArray[np.object_]) -> NDArray[np.object_]:
        """The same of each."""
        codes, names = pd.factorize(values)
        named = np.array([*map(self._name, names), self._name(None)], dtype=object)
        return named[codes]

    def _name(self, value: Any) -> Any:
        marked = MISSING if value is None else value
        return marked if marked in self.frequent else OTHERS


@dataclass(frozen=True)
class Equal:
    """Whether numbers are those of a column that had but one: a distance in deviations has none to go by."""

    value: float

    def of(self, summary: Numbers) -> Categories:
        """As categories."""
        equal = summary.count(self.value)
        counts = {
            str(self.value): equal,
            OTHERS: len(summary.values) - equal,
            MISSING: summary.missing,
        }
        return Categories({name: count for name, count in counts.items() if count}, summary.rows)

    def draw(self, values: Floats) -> NDArray[np.object_]:
        """The same of each."""
        named = np.where(np.isnan(values), MISSING, np.where(values == self.value, str(self.value), OTHERS))
        return named.astype(object)
