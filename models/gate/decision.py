"""The verdict on a challenger, as a frozen value with its evidence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from configs.schema import GateConfig
from models.gate.bootstrap import Interval, Swaps, interval_of
from models.gate.forgetting import Forgetting
from models.gate.limits.calibration import Calibration
from models.gate.limits.costs import Costs
from models.gate.limits.slices import SliceFinding
from models.gate.selection import LabelSelection
from models.metrics.catalogue import rises
from models.metrics.shown import SAME, digits_for
from models.shadows.evidence import RecordGain

GateVerdict = Literal["promote", "reject", "too_little_evidence", "hold_back"]
GateOutcome = Literal[
    "first_model",
    "plain_not_better",
    "production_gone",
    "labels_left_out",
    "labels_selected",
    "beats_majority",
    "below_majority",
    "majority_not_proven",
    "beats_production",
    "record_beats_production",
    "worse",
    "tie",
    "not_proven",
    "forgets",
    "kept_not_proven",
    "slice_worse",
    "slice_below_floor",
    "miscalibrated",
    "too_large",
    "too_slow",
    "one_source",
    "too_few_rows",
    "no_score",
]
OPENINGS: Mapping[GateOutcome, str] = {
    "first_model": "promoted as the first model",
    "plain_not_better": "a plain model, and not surely better than a configured one",
    "beats_production": "better than production, and chance does not explain it",
    "record_beats_production": "what new models have gained over production by now is enough",
    "worse": "scored below production",
    "tie": "exactly as good as production, so nothing is gained by a move",
    "not_proven": "scored above production, but chance may explain it",
    "forgets": "better now, but worse at what the original version was judged on",
    "kept_not_proven": "better now, but it may be worse at what the original version was judged on",
    "slice_worse": "surely worse than production on a part of the records",
    "slice_below_floor": "surely below what is asked for on a part of the records",
    "miscalibrated": "its scores are further off than production's, and than is allowed",
    "too_large": "larger on disk than is allowed",
    "too_slow": "slower to answer than is allowed",
    "too_few_rows": "too few rows to tell",
    "no_score": "nothing to compare",
    "beats_majority": "production cannot answer, and this knows more than a guess",
    "below_majority": "production cannot answer, and this knows no more than a guess",
    "majority_not_proven": "production cannot answer, and chance may explain that this is above a guess",
}
"""How the reason of an outcome begins: the verdict in words, before figures; the others are sentences."""


@dataclass(frozen=True)
class GateDecision:
    """Whether one challenger may become production, and on what evidence."""

    verdict: GateVerdict
    outcome: GateOutcome
    metric: str
    rows: int
    challenger: float | None
    production: float | None
    difference: float | None
    """Gain of the challenger, oriented so that more is better."""
    interval: Interval | None
    min_gain: float
    reason: str
    original: Forgetting | None = None
    """The same comparison on what the original version was judged on; None: nothing to compare."""
    majority: float | None = None
    """Score of the best answers that know nothing of the record, where production cannot be asked."""
    selection: LabelSelection | None = None
    """Whether labels of answers seem to be chosen; None: no new label belongs to an answer."""

    record: RecordGain | None = None
    """What earlier challengers of the name gained over what production is; None: nothing is known."""
    slices: tuple[SliceFinding, ...] = ()
    """How it does on each part of the records that `gate.slices` names."""
    calibration: Calibration | None = None
    """How far its scores are from how often it is right; None: not known, or a row may have many labels."""
    costs: Costs | None = None
    """What it costs where it serves; None: not known, as in a replay."""

    def as_dict(self) -> dict[str, Any]:
        """The decision as plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Gain:
    """How far a challenger is above what it is compared with."""

    gain: float
    """Oriented so that more is better."""
    interval: Interval
    shown: str
    unproven: str


class Deciding(Protocol):
    """Makes a decision."""

    def __call__(
        self, verdict: GateVerdict, outcome: GateOutcome, reason: str, gain: Gain | None = None
    ) -> GateDecision:
        """The decision that comes out so, for this reason, with the gain that was measured."""


SHARE_BESIDE_RECORD = 0.02
"""Share of a try's error that one look at held-out rows may make where a record is there to go by."""
SPENT_LATER = 1 / (math.pi**2 / 6 - 1)


def share_spent(tries: int) -> float:
    """Share of the first try's error that a later one may make; all later ones together share as much again.

    So the chance that chance alone promotes over one production, by held-out rows, is at most twice that of
    one try however often it is tried: 1 - `gate.confidence`, as the error of one try is that of one side.

    Args:
        tries: that were made before against the same production.
    """
    return 1.0 if tries == 0 else SPENT_LATER / (tries + 1) ** 2


def weigh(
    gate: GateConfig,
    rows: int,
    challenger: float,
    other: float,
    differences: NDArray[np.float64] | None,
    challengers: int,
    share: float = 1.0,
    swaps: Swaps | None = None,
) -> Gain | None:
    """How far it is above another one on the same rows; None where the metric is not defined.

    Args:
        challengers: how many are judged at once.
        share: of the error that `gate.confidence` allows.
        swaps: what comes of dealing their answers anew, where few rows tell.
    """
    level = 1 - (1 - gate.confidence) * share / challengers
    interval = None if differences is None else interval_of(differences, level, swaps)
    if math.isnan(challenger) or math.isnan(other) or interval is None:
        return None
    gain = challenger - other if rises(gate.metric) else other - challenger
    if abs(gain) <= SAME:
        gain = 0.0
    digits = digits_for((challenger, other), (interval.low, gate.min_gain))
    shown = (
        f"{gate.metric} {challenger:.{digits}f} against {other:.{digits}f} on {rows} rows, "
        f"gain {gain:+.{digits}f} [{interval.low:+.{digits}f}, {interval.high:+.{digits}f}]"
    )
    if swaps is not None and swaps.rows:
        shown += f", {swaps.rows} answered differently"
    unproven = f"{shown}: the interval must lie above {gate.min_gain:g}; more labels may prove it"
    return Gain(gain, interval, shown, unproven)


def deciding(
    gate: GateConfig,
    rows: int,
    challenger: float,
    *,
    production: float | None = None,
    majority: float | None = None,
    original: Forgetting | None = None,
    record: RecordGain | None = None,
) -> Deciding:
    """Makes decisions about one challenger, which differ in what comes out."""

    def decided(
        verdict: GateVerdict, outcome: GateOutcome, reason: str, gain: Gain | None = None
    ) -> GateDecision:
        return GateDecision(
            verdict=verdict,
            outcome=outcome,
            metric=gate.metric,
            rows=rows,
            challenger=None if math.isnan(challenger) else challenger,
            production=None if production is None or math.isnan(production) else production,
            difference=None if gain is None else gain.gain,
            interval=None if gain is None else gain.interval,
            min_gain=gate.min_gain,
            reason=f"{OPENINGS[outcome]}: {reason}" if outcome in OPENINGS else reason,
            original=original,
            majority=majority,
            record=record,
        )

    return decided


def too_few(gate: GateConfig, rows: int) -> str:
    """For a person: how many there are."""
    return f"{rows} rows to judge on; {gate.min_rows} are needed"


def undefined(gate: GateConfig, rows: int) -> str:
    """For a person: the metric tells nothing."""
    return f"{gate.metric} is not defined on these {rows} rows"


def best(decisions: Mapping[str, GateDecision]) -> str:
    """Name of the challenger to act on: a promotable one if any, then the largest gain, then the first.

    Raises:
        ValueError: no decisions.
    """
    if not decisions:
        raise ValueError("no challenger was judged")
    order = {"promote": 0, "hold_back": 1, "too_little_evidence": 1, "reject": 2}

    def rank(name: str) -> tuple[int, float]:
        decision = decisions[name]
        score = decision.difference
        if score is None:
            oriented = decision.challenger if rises(decision.metric) else _negative(decision.challenger)
            score = -math.inf if oriented is None else oriented
        return order[decision.verdict], -score

    return min(decisions, key=rank)


def _negative(value: float | None) -> float | None:
    return None if value is None else -value
