"""The record of a use case as one retrain has it: the periods so far, and what follows from them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from configs.schema import ChallengerConfig, GateConfig
from models.shadows.evidence import RecordGain, Standing, weigh_record
from models.shadows.periods import Period, ages_of
from models.shadows.weights import blend_weights

FEWEST_NEWEST = 50
"""Held-out rows that may speak against a record."""


@dataclass(frozen=True)
class Record:
    """Periods, oldest first."""

    periods: tuple[Period, ...] = ()
    ends_now: bool = False
    """Whether the last one ends with this retrain; otherwise too few rows came for one."""

    @property
    def number(self) -> int:
        """Of the last period; 0: there is none."""
        return self.periods[-1].number if self.periods else 0

    @property
    def ends(self) -> list[int]:
        """Arrivals of the last rows of the periods that ended before this retrain."""
        ends = [one.last_seq for one in self.periods]
        return ends[:-1] if self.ends_now else ends

    def ages(self, seq: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many retrains ago rows with these arrivals came, shape (n,)."""
        return ages_of(seq, self.ends)

    def newest(self, seq: NDArray[np.int64]) -> int:
        """How many of the rows with these arrivals, rising, tell of the world as it is now.

        Those that came since the period before, at least `FEWEST_NEWEST`. What was held out long ago, from a
        production that is old, tells of the world of then.
        """
        came = len(seq) - int(np.searchsorted(seq, self.ends[-1], side="right")) if self.ends else len(seq)
        return min(len(seq), max(came, FEWEST_NEWEST))

    def weights(
        self, challenger: ChallengerConfig, *, made_by: str | None = None
    ) -> Mapping[str, float] | None:
        """What the members of a challenger count for; None: it is no blend.

        Args:
            made_by: how it is made now; what members of one that was made otherwise were worth says nothing.
        """
        if not challenger.members:
            return None
        periods = self._made_alike(challenger.name, made_by)
        return blend_weights(periods, challenger.name, [one.name for one in challenger.members])

    def gains(
        self,
        gate: GateConfig,
        challengers: Iterable[str],
        production: Standing,
        *,
        made_by: Mapping[str, str] = MappingProxyType({}),
        held: Collection[str] = (),
    ) -> dict[str, RecordGain]:
        """By challenger, what its predecessors gained over what production is, where anything tells.

        Args:
            made_by: how challengers are made now; periods of those that were made otherwise do not count.
            held: sources of labels that are held back; their rows do not count, whenever they came.
        """
        weighed = {
            name: weigh_record(gate, self._of_recipe(name, made_by, held), name, production, self.number)
            for name in challengers
        }
        return {name: gain for name, gain in weighed.items() if gain is not None}

    def _of_recipe(self, name: str, made_by: Mapping[str, str], held: Collection[str]) -> list[Period]:
        return [
            replace(one, contests=tuple(contest.without(held) for contest in one.contests))
            for one in self._made_alike(name, made_by.get(name))
        ]

    def _made_alike(self, name: str, made_by: str | None) -> list[Period]:
        """Periods whose challenger of the name was made in this way, as far as anybody knows."""
        return [one for one in self.periods if made_by is None or one.made_by.get(name, made_by) == made_by]
