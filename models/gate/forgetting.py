"""Does a challenger lose what the first version could do? Measured where that version was judged.

A version that is corrected often and a little may drift away from what it once knew, each step too small to
show among the newest rows. So the rows that the version with the alias `original` was judged on stay a
yardstick, as far as nobody has learned from them since.

What counts is where the interval of the fall ends, not the fall itself, which on a few hundred rows is as
much chance as truth. With its far end beyond the margin a fall is not excluded, with its near end as well
it is proven: two one-sided tests of one margin (D. J. Schuirmann, Journal of Pharmacokinetics and
Biopharmaceutics 15, 1987). Which of them a challenger must pass is `gate.forgetting_proof`.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from configs.schema import GateConfig
from models.gate.bootstrap import Interval, Swaps, interval_of
from models.metrics.catalogue import rises
from models.metrics.shown import digits_for

ForgettingVerdict = Literal["kept", "unproven", "forgotten", "only_reported", "too_few_rows", "no_score"]
"""`kept`: surely no more than the margin is lost; `forgotten`: surely more is; `unproven`: neither."""
ROUNDING = 1e-9


@dataclass(frozen=True)
class Forgetting:
    """How challenger and production do on the rows that the original version was judged on."""

    verdict: ForgettingVerdict
    metric: str
    rows: int
    challenger: float | None
    production: float | None
    difference: float | None
    """Gain of the challenger, oriented so that more is better; a fall is negative."""
    interval: Interval | None
    margin: float | None
    reason: str

    @property
    def is_beyond(self) -> bool:
        """Whether the fall as it was seen, whatever chance did, is beyond the margin."""
        if self.margin is None or self.difference is None:
            return False
        return self.difference < -self.margin - ROUNDING

    def as_dict(self) -> dict[str, Any]:
        """The finding as plain values, for JSON."""
        return asdict(self)


def weigh_forgetting(
    gate: GateConfig,
    *,
    rows: int,
    challenger: float,
    production: float,
    differences: NDArray[np.float64],
    swaps: Swaps | None = None,
) -> Forgetting:
    """Say whether the challenger falls by more than `gate.forgetting_margin`, the non-inferiority margin.

    The level of the interval is not shared among challengers: the more of them there were, the less would be
    proven against each.

    Args:
        rows: rows of the original holdout that neither model has learned from.
        challenger: its `gate.metric` on them; NaN where it is not defined.
        production: the same of production.
        differences: resamples of the gain (`models.gate.bootstrap`).
        swaps: what comes of dealing their answers anew, where few rows tell.
    """
    rising = challenger - production if rises(gate.metric) else production - challenger
    gain = None if math.isnan(rising) else rising
    interval = interval_of(differences, gate.confidence, swaps)
    verdict: ForgettingVerdict
    if rows < gate.min_rows:
        verdict = "too_few_rows"
        reason = f"{rows} rows of the original holdout are left; {gate.min_rows} are needed"
    elif gain is None or interval is None:
        verdict = "no_score"
        reason = f"{gate.metric} is not defined on the {rows} rows of the original holdout"
    else:
        verdict, outcome = _verdict(interval, gate.forgetting_margin)
        digits = digits_for((challenger, production))
        reason = (
            f"{gate.metric} {challenger:.{digits}f} against {production:.{digits}f} on {rows} rows of the "
            f"original holdout, {gain:+.{digits}f} [{interval.low:+.{digits}f}, {interval.high:+.{digits}f}]"
            f"{outcome}"
        )
    return Forgetting(
        verdict=verdict,
        metric=gate.metric,
        rows=rows,
        challenger=None if math.isnan(challenger) else challenger,
        production=None if math.isnan(production) else production,
        difference=gain,
        interval=interval,
        margin=gate.forgetting_margin,
        reason=reason,
    )


def _verdict(gain: Interval, margin: float | None) -> tuple[ForgettingVerdict, str]:
    """What the interval of the gain says of a fall beyond the margin, and how a sentence about it ends."""
    if margin is None:
        return "only_reported", ""
    if gain.high < -margin - ROUNDING:
        return "forgotten", f": a fall of more than {margin:g} is proven"
    if gain.low < -margin - ROUNDING:
        return "unproven", f": a fall of more than {margin:g} is neither proven nor excluded"
    return "kept", ""
