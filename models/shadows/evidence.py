"""What the record of a recipe says about its newest challenger and production, which it has not met itself.

Two kinds of contests tell, each on rows before any model learned from them: earlier challengers of the recipe
against production since it serves; and, in the newest periods, the newest shadow against one as many retrains
older than it as production is older than the challenger, which is what age costs on this stream.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from configs.schema import GateConfig
from models.metrics.shown import digits_for
from models.shadows.periods import Contest, Moments, Period

MET_PERIODS = 3
"""Newest periods in which earlier challengers, held against production itself, tell what is gained now."""


@dataclass(frozen=True)
class Standing:
    """What is known of production."""

    version: int | None
    recipe: str | None
    """Challenger that it was; None where nobody knows."""
    made: int | None
    """Number of the period at whose end it was made; None: before any was kept."""
    since: int = 0
    """Periods up to this one are not held for a recipe: production was taken back after it."""


@dataclass(frozen=True)
class RecordGain:
    """What a recipe has gained over what production is, in score a row (`models.shadows.scores`)."""

    rows: int
    periods: int
    """Periods that it was seen in."""
    gain: float
    """Now, over production itself and over models as old as it is; where both are known, their mean."""
    error: float
    """Standard error of the gain."""
    lower: float
    """The gain less as many errors as `gate.shadows.errors` says; it must be above 0."""
    lost: float
    """What staying with production has lost so far: the gain over it, summed over the retrains since."""
    line: float
    """What `lost` must lie above: `gate.shadows.cost`."""
    age: int
    """Retrains since production was made."""
    right: float | None = None
    """By what share of the rows more is answered rightly, from the periods of the gain; it must be above 0.
    None: that is not what the gate's metric counts, or not known."""
    carried_by: tuple[str, ...] = ()
    """Sources of labels without whose rows the gain would be a loss."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `dataclasses.asdict`; what is not a part of it is passed over."""
        known = {one.name: values[one.name] for one in fields(cls) if one.name in values}
        return cls(**known | {"carried_by": tuple(values.get("carried_by", ()))})

    @property
    def passes(self) -> bool:
        """Whether the line is crossed, there is something to gain, and more rows are answered rightly."""
        return self.lower > 0 and self.lost > self.line and not self.answers_no_better

    @property
    def answers_no_better(self) -> bool:
        """Whether no more rows are answered rightly: who is only less sure gains where labels are wrong."""
        return self.right is not None and self.right <= 0

    @property
    def missing(self) -> str | None:
        """What must come before it passes; None: it does."""
        needs = []
        if self.lower <= 0:
            needs.append(
                f"the gain must be surely above 0 (at least {self.lower:+.{digits_for((self.lower, 0))}f} "
                "now): more labels may show it"
            )
        if self.answers_no_better:
            needs.append(f"more rows must be answered rightly ({100 * (self.right or 0):+.2f} in 100 now)")
        if self.lost <= self.line:
            waits = f", about {self._retrains} at this gain" if self.gain > 0 else ""
            digits = digits_for((self.lost, self.line))
            needs.append(
                f"staying with production must lose {self.line - self.lost:.{digits}f} more to come to the "
                f"line of {self.line:.{digits}f}{waits}"
            )
        return "; ".join(needs) or None

    @property
    def _retrains(self) -> str:
        """Until the line is crossed, if each loses as much as is gained now."""
        number = max(1, math.ceil((self.line - self.lost) / self.gain))
        return f"{number:,} {'retrain' if number == 1 else 'retrains'}"

    @property
    def shown(self) -> str:
        """For a person: whether new models are better and how near the line is, and then the figures."""
        digits = digits_for((self.gain, 0), (self.lower, 0), (self.lost, self.line))
        return (
            f"new models {self._shown_gain}; staying with production has lost {self._shown_loss} "
            f"(challengers of earlier retrains gain {self.gain:+.{digits}f} in Brier score a row, at least "
            f"{self.lower:+.{digits}f}, on {self.rows} rows of {self.periods} "
            f"{'period' if self.periods == 1 else 'periods'} that came after they were made; "
            f"{self.lost:+.{digits}f} is lost in {self.age} {'retrain' if self.age == 1 else 'retrains'}, "
            f"the line is {self.line:+.{digits}f})"
        )

    @property
    def _shown_gain(self) -> str:
        if self.gain <= 0:
            told = "are no better than production"
        elif self.answers_no_better:
            told = "have better probabilities than production, and answer no more rows rightly"
        else:
            told = "are better than production" if self.lower > 0 else "may be better than production"
        if self.right is None:
            return told
        more = "fewer" if self.right < 0 else "more"
        digits = digits_for((100 * self.right, 0), least=2)
        return f"{told}: of 100 rows {100 * abs(self.right):.{digits}f} {more} are answered rightly"

    @property
    def _shown_loss(self) -> str:
        """Beside the line, which says what is much."""
        if self.lost <= 0:
            return "nothing yet"
        return f"{self.lost / self.line:.0%} of the line" if self.line > 0 else "more than the line"

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {**asdict(self), "passes": self.passes}


def weigh_record(
    gate: GateConfig, periods: Sequence[Period], recipe: str, production: Standing, number: int
) -> RecordGain | None:
    """What speaks for a challenger of this recipe that is made now; None where nothing is known.

    Production is replaced when what staying with it has lost since it was made comes to what a replacement
    is thought to cost: the rule of who rents skis and may buy them, who never pays more than twice the least
    (A. R. Karlin, M. S. Manasse, L. Rudolph and D. D. Sleator, "Competitive snoopy caching", Algorithmica 3,
    1988). So a stream that drifts fast gets new models often, and one that does not seldom.

    Args:
        periods: oldest first.
        number: of the period that ends now.
    """
    counted = [one for one in periods if one.doubt is None and one.number > production.since]
    met = _met(counted, recipe, production)
    newest_met = [met[at] for at in sorted(met) if at > number - MET_PERIODS]
    age = len(met) if production.made is None else number - production.made
    apart: dict[int, list[Contest]] = {}
    if production.recipe == recipe and production.made is not None:
        apart = _by_distance(counted, recipe, number - gate.shadows.periods)
    alike = apart.get(min(age, gate.shadows.keep - 1), [])
    seen = [*newest_met, *alike]
    gained = [one for one in (_typical(alike), _pooled(newest_met)) if one is not None]
    rows = sum(one.gain.rows for one in seen)
    if not gained or rows < gate.min_rows:
        return None
    gain = sum(one.mean for one in gained) / len(gained)
    error = math.hypot(*(one.error for one in gained)) / len(gained)
    return RecordGain(
        rows=rows,
        periods=len(newest_met) + len(alike),
        gain=gain,
        error=error,
        lower=gain - gate.shadows.errors * error,
        lost=_lost(gate, met, apart, production, age),
        line=gate.shadows.cost,
        age=age,
        right=_answered_rightly(alike, newest_met),
        carried_by=_carrying(seen, gate.min_rows),
    )


def _answered_rightly(alike: Sequence[Contest], met: Sequence[Contest]) -> float | None:
    """By what share of the rows more, estimated as the gain is; None where some contest does not tell."""
    contests = [*alike, *met]
    if any(one.right is None for one in contests):
        return None
    told = [replace(one, gain=one.right or Moments()) for one in contests]
    estimates = [_typical(told[: len(alike)]), _pooled(told[len(alike) :])]
    means = [one.mean for one in estimates if one is not None]
    return sum(means) / len(means)


def _lost(
    gate: GateConfig,
    met: Mapping[int, Contest],
    apart: Mapping[int, Sequence[Contest]],
    production: Standing,
    age: int,
) -> float:
    """What waiting has lost: as it was seen, and where it was not yet, as shadows as far apart tell.

    It begins anew when production is taken back, or what was lost before would bring back what was refused.
    """
    made = production.made
    if made is None:
        steps = [_pooled([one]) for one in met.values()]
    else:
        seen = {at - made - 1: one for at, one in met.items()}
        steps = [
            _pooled([seen[step]])
            if step in seen
            else _typical(apart.get(min(step, gate.shadows.keep - 1), []))
            for step in range(max(1, production.since - made), age + 1)
        ]
    counted = [one for one in steps if one is not None]
    error = math.hypot(*(one.error for one in counted))
    return sum(one.mean for one in counted) - gate.shadows.errors * error


def _met(periods: Sequence[Period], recipe: str, production: Standing) -> dict[int, Contest]:
    """By period, the newest shadow against production itself."""
    return {
        period.number: one
        for period in periods
        for one in period.contests
        if one.recipe == recipe
        and one.version is not None
        and one.version == production.version
        and one.gain.rows > 1
    }


def _by_distance(periods: Sequence[Period], recipe: str, after: int) -> dict[int, list[Contest]]:
    """By retrains between them, the newest shadow against an older one, in the periods after one."""
    apart: dict[int, list[Contest]] = {}
    for period in periods:
        for one in period.contests if period.number > after else ():
            if one.recipe == recipe and one.version is None and one.made is not None and one.gain.rows > 1:
                apart.setdefault(period.number - 1 - one.made, []).append(one)
    return apart


@dataclass(frozen=True)
class _Estimate:
    mean: float
    error: float


def _pooled(contests: Sequence[Contest]) -> _Estimate | None:
    """Of all their rows together."""
    gained = sum((one.gain for one in contests), Moments())
    return _Estimate(gained.mean, gained.error) if contests else None


def _typical(contests: Sequence[Contest]) -> _Estimate | None:
    """The median of periods: one in which the world turned says what that was, not what comes every time."""
    pooled = _pooled(contests)
    if pooled is None:
        return None
    return _Estimate(statistics.median(one.gain.mean for one in contests), pooled.error)


def _carrying(contests: Sequence[Contest], least: int) -> tuple[str, ...]:
    """Sources without which the others, `least` rows at least, would tell of a loss."""
    gained = sum((one.gain for one in contests), Moments())
    of_source: dict[str, Moments] = {}
    for one in contests:
        for name, gain in one.sources.items():
            of_source[name] = of_source.get(name, Moments()) + gain
    others = {name: gained - own for name, own in of_source.items()}
    return tuple(sorted(name for name, rest in others.items() if rest.rows >= least and rest.mean < 0))
