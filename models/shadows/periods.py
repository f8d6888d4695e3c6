"""What is kept of a period: the rows between two retrains, answered by models that had not learned from them.

Its models are production and the challengers of earlier retrains, which perhaps never served: shadows. Of two
models only the moments of their row-wise differences are kept, by which periods can be added up.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Moments:
    """Row-wise differences of two models' scores, summed up."""

    rows: int = 0
    total: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, differences: NDArray[np.float64]) -> Self:
        """Of n differences, shape (n,)."""
        return cls(len(differences), float(differences.sum()), float(np.square(differences).sum()))

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.rows + other.rows, self.total + other.total, self.squares + other.squares)

    def __sub__(self, other: Moments) -> Moments:
        return Moments(self.rows - other.rows, self.total - other.total, self.squares - other.squares)

    @property
    def mean(self) -> float:
        """Of a row; NaN without any."""
        return self.total / self.rows if self.rows else math.nan

    @property
    def error(self) -> float:
        """Standard error of the mean; infinite where two rows are not there to tell."""
        if self.rows < 2:
            return math.inf
        variance = max(self.squares - self.total * self.total / self.rows, 0.0) / (self.rows - 1)
        return math.sqrt(variance / self.rows)


@dataclass(frozen=True)
class Contest:
    """The newest shadow of a recipe against an older model, on the rows of one period."""

    recipe: str
    """Name of the challenger."""
    made: int | None
    """Number of the period at whose end the older model was made; None: before any was kept."""
    version: int | None
    """Of the older model, where it served in this period; None: it is a shadow of the same recipe."""
    gain: Moments
    """Of the newest shadow over it."""
    sources: Mapping[str, Moments] = field(default_factory=dict)
    """The same of the rows that each source labelled, and each key or door with several."""
    right: Moments | None = None
    """By how much more of the rows it answers rightly; None: that is not what the gate's metric counts."""
    right_by_source: Mapping[str, Moments] = field(default_factory=dict)

    def without(self, held: Collection[str]) -> Contest:
        """The same without the rows of sources that are held back."""
        out = {name for name in self.sources if {name, name.partition("/")[0]} & set(held)}
        if not out:
            return self
        right = None if self.right is None else _without(self.right, self.right_by_source, out)
        return replace(
            self,
            gain=_without(self.gain, self.sources, out),
            sources=_kept(self.sources, out),
            right=right,
            right_by_source=_kept(self.right_by_source, out),
        )


@dataclass(frozen=True)
class Period:
    """The rows that came between two retrains, and how models did on them."""

    number: int
    """The first is 1; models made at its end have this number."""
    last_seq: int
    """Arrival of its last row."""
    rows: int = 0
    """Rows that were answered: those of records that no model had learned from."""
    contests: tuple[Contest, ...] = ()
    members: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By recipe, the mean score of each member of its newest shadow."""
    doubt: str | None = None
    """Why its labels prove nothing; None: they do."""
    made_by: Mapping[str, str] = field(default_factory=dict)
    """By recipe, the digest of how its newest shadow was made (`models.shadows.recipes`)."""

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {
            "rows": self.rows,
            "doubt": self.doubt,
            "made_by": dict(self.made_by),
            "members": {recipe: dict(scores) for recipe, scores in self.members.items()},
            "contests": [
                {
                    "recipe": one.recipe,
                    "made": one.made,
                    "version": one.version,
                    "gain": _listed(one.gain),
                    "right": None if one.right is None else _listed(one.right),
                    "right_by_source": {name: _listed(right) for name, right in one.right_by_source.items()},
                    "sources": {name: _listed(gain) for name, gain in one.sources.items()},
                }
                for one in self.contests
            ],
        }

    @classmethod
    def from_dict(cls, number: int, last_seq: int, values: Mapping[str, Any]) -> Self:
        """The inverse of `as_dict`."""
        contests = tuple(
            Contest(
                one["recipe"],
                one["made"],
                one["version"],
                Moments(*one["gain"]),
                {name: Moments(*gain) for name, gain in one["sources"].items()},
                Moments(*one["right"]) if one.get("right") else None,
                {name: Moments(*right) for name, right in one.get("right_by_source", {}).items()},
            )
            for one in values["contests"]
        )
        return cls(
            number,
            last_seq,
            values["rows"],
            contests,
            values["members"],
            values["doubt"],
            values.get("made_by", {}),
        )


def _less(moments: Moments, others: Iterable[Moments]) -> Moments:
    return moments - sum(others, Moments())


def _without(whole: Moments, sources: Mapping[str, Moments], out: Collection[str]) -> Moments:
    """Of all rows but those of some sources; what is of a key is not taken off again by its names."""
    roots = [name for name in sources if name in out and name.partition("/")[0] not in set(out) - {name}]
    return _less(whole, (sources[name] for name in roots))


def _kept(sources: Mapping[str, Moments], out: Collection[str]) -> dict[str, Moments]:
    """Of each source that is not out, without the rows of names of its own that are."""
    return {
        name: _less(gain, (sources[one] for one in out if one in sources and one.startswith(f"{name}/")))
        for name, gain in sources.items()
        if name not in out
    }


def _listed(moments: Moments) -> list[float]:
    return [moments.rows, moments.total, moments.squares]


def ages_of(seq: NDArray[np.int64], ends: Sequence[int]) -> NDArray[np.int64]:
    """How many retrains ago rows came, shape (n,): 0 for those after the last of the `ends`.

    Args:
        seq: arrivals of the rows, shape (n,).
        ends: arrivals of the last rows of the periods, rising.
    """
    return len(ends) - np.searchsorted(np.asarray(ends, dtype=np.int64), seq, side="left")
