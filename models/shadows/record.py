"""The record of a use case as one retrain has it: the periods so far, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from configs.schema import ChallengerConfig, GateConfig
from models.shadows.evidence import RecordGain, Standing, weigh_record
from models.shadows.periods import Period, ages_of
from models.shadows.weights import blend_weights


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

    def weights(self, challenger: ChallengerConfig) -> Mapping[str, float] | None:
        """What the members of a challenger count for; None: it is no blend."""
        if not challenger.members:
            return None
        return blend_weights(self.periods, challenger.name, [one.name for one in challenger.members])

    def gains(
        self, gate: GateConfig, challengers: Iterable[str], production: Standing
    ) -> dict[str, RecordGain]:
        """By challenger, what its predecessors gained over what production is, where anything tells."""
        weighed = {
            name: weigh_record(gate, self.periods, name, production, self.number) for name in challengers
        }
        return {name: gain for name, gain in weighed.items() if gain is not None}
