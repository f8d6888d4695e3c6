"""A challenger against production on the rows that both were asked about, with all that checks look at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from configs.schema import GateConfig
from models.gate.bootstrap import Swaps
from models.gate.decision import SHARE_BESIDE_RECORD, Gain, share_spent, weigh
from models.gate.forgetting import Forgetting, ForgettingVerdict
from models.shadows.evidence import RecordGain


@dataclass(frozen=True)
class Contest:
    """One challenger and production, scored on the same held-out rows."""

    gate: GateConfig
    rows: int
    challenger: float
    """Its score in the gate's metric; NaN where that is not defined."""
    production: float | None
    """The same of production; None: there has never been one."""
    differences: NDArray[np.float64] | None
    """Paired resamples of the gain, oriented so that more is better."""
    challengers: int
    """How many are judged at once."""
    original: Forgetting | None
    """What the challenger would forget."""
    record: RecordGain | None = None
    """What its predecessors gained over what production is."""
    tries: int = 0
    """How often challengers were judged against this production before."""
    swaps: Swaps | None = None
    """What comes of dealing its answers and production's anew, where few rows tell."""
    newest: Gain | None = None
    """What the newest rows tell by themselves; None: all of them are new."""

    @cached_property
    def weighed(self) -> Gain | None:
        """How far the challenger is above production; None where the metric is not defined."""
        return self._weigh(share_spent(self.tries) if self.record is None else SHARE_BESIDE_RECORD)

    @property
    def is_proven_less(self) -> bool:
        """Whether one look would prove that it gains less than is asked for: at the newest rows, as what was
        held out long ago tells of the world of then."""
        gain = self._weigh(1.0) if self.newest is None else self.newest
        return gain is None or gain.interval.high < self.gate.min_gain

    @property
    def forgetting(self) -> ForgettingVerdict | None:
        """What is known of what the challenger would forget; None: there is nothing to compare."""
        return None if self.original is None else self.original.verdict

    def _weigh(self, share: float) -> Gain | None:
        if self.production is None:
            return None
        return weigh(
            self.gate,
            self.rows,
            self.challenger,
            self.production,
            self.differences,
            self.challengers,
            share,
            self.swaps,
        )

    @property
    def gain(self) -> Gain:
        """The same, for checks that come after `score_is_defined`."""
        assert self.weighed is not None
        return self.weighed
