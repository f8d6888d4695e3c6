"""Is a challenger worse on a part of the records, however much it gains on all of them?

Refused is what is proven, as the more slices there are, the more of them look worse by chance alone: the
level of each interval is that of `gate.confidence`, shared among all that is asked of a challenger
(Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from configs.schema import SliceConfig, UseCase
from features.records.contract import Columns
from features.records.fields import Column
from models.gate.answers import JudgedAnswers
from models.gate.bootstrap import Interval, interval_of
from models.gate.comparison import Comparison, compare, resample_scores
from models.metrics.catalogue import rises
from models.metrics.shown import digits_for

SliceVerdict = Literal["kept", "worse", "below_floor", "better_below_floor", "too_few_rows", "no_score"]
"""`better_below_floor`: below the floor, where production does worse."""
MOST_TOLD = 20
"""Slices of a field that are told though they have too few rows: those with the most."""
ROUNDING = 1e-9


@dataclass(frozen=True)
class Slice:
    """Rows that have one value of a field, or one of a range."""

    rule: SliceConfig
    value: str | None
    """The value, or the name of the range; None: the field is missing."""
    places: NDArray[np.intp]
    """Of its rows among those that are judged on, the oldest first."""

    @property
    def is_asked(self) -> bool:
        """Whether it has enough rows."""
        return len(self.places) >= self.rule.min_rows

    @property
    def questions(self) -> int:
        """How much is asked of a challenger there, if there are rows enough."""
        return (self.rule.most_loss is not None) + (self.rule.floor is not None)

    def newest(self, after: int) -> Slice:
        """The same with its rows from a place on, and older ones only as far as it takes to judge on it."""
        count = max(int((self.places >= after).sum()), self.rule.min_rows)
        return replace(self, places=self.places[-count:])


@dataclass(frozen=True)
class SliceFinding:
    """How a challenger does in one slice."""

    field: str
    value: str | None
    verdict: SliceVerdict
    rows: int
    challenger: float | None
    """Its `gate.metric` there."""
    production: float | None
    difference: float | None
    """Gain of the challenger, oriented so that more is better."""
    interval: Interval | None
    """Of the gain; None without production, and with too few rows."""
    score_interval: Interval | None
    """Of the challenger's own score, where there is a floor."""
    most_loss: float | None
    floor: float | None
    reason: str


def find_slices(use_case: UseCase, columns: Columns) -> tuple[Slice, ...]:
    """The slices of n checked records, as `gate.slices` names them; those without rows are left out."""
    found: list[Slice] = []
    for rule in use_case.gate.slices:
        parts = [Slice(rule, value, places) for value, places in _parts(rule, columns[rule.field])]
        parts.sort(key=lambda one: (-len(one.places), str(one.value)))
        few = [one for one in parts if not one.is_asked]
        found += [one for one in parts if one.is_asked] + few[:MOST_TOLD]
    return tuple(found)


def _parts(rule: SliceConfig, column: Column) -> Iterator[tuple[str | None, NDArray[np.intp]]]:
    """Each value, or range, with the places of its rows."""
    if column.dtype == object:
        missing = np.array([value is None for value in column], dtype=np.bool_)
        masks = {str(value): column == value for value in sorted(set(column[~missing].tolist()))}
    else:
        missing = np.isnan(column)
        masks = {name: _within(column, *bounds) for name, bounds in rule.ranges.items()}
        if not rule.ranges:
            masks = {"true": column == 1, "false": column == 0}
    for value, mask in [*masks.items(), (None, missing)]:
        if mask.any():
            yield value, np.flatnonzero(mask)


def _within(column: Column, low: float | None, high: float | None) -> NDArray[np.bool_]:
    """From low on, and below high; a missing value is in no range."""
    above = ~np.isnan(column) if low is None else column >= low
    return above if high is None else above & (column < high)


def judge_slices(
    use_case: UseCase,
    answers: JudgedAnswers,
    challenger: str,
    slices: Sequence[Slice],
    row_weights: NDArray[np.float64] | None = None,
) -> tuple[SliceFinding, ...]:
    """How a challenger does in each slice.

    Args:
        answers: to all n rows that are judged on.
        challenger: its name among the answers.
        row_weights: what each row counts for, shape (n,); default 1.
    """
    questions = sum(one.questions for one in slices if one.is_asked)
    level = 1 - (1 - use_case.gate.confidence) / max(1, questions)
    alone = replace(answers, challengers={challenger: answers.challengers[challenger]})
    found = []
    for one in slices:
        weights = None if row_weights is None else row_weights[one.places]
        found.append(_judge(use_case, alone.take(one.places), challenger, one, level, weights))
    return tuple(found)


def _judge(
    use_case: UseCase,
    answers: JudgedAnswers,
    challenger: str,
    part: Slice,
    level: float,
    weights: NDArray[np.float64] | None,
) -> SliceFinding:
    """How it does in one slice, by the answers to its rows."""
    name, rows = _named(part), len(part.places)
    nothing = _finding(part, "too_few_rows", f"{name}: {rows} rows; {part.rule.min_rows} are needed")
    if not part.is_asked:
        return nothing
    metric = use_case.gate.metric
    compared = compare(use_case, answers, weights)
    score = compared.scores[challenger][metric]
    had = math.nan if compared.production is None else compared.production[metric]
    gain = score - had if rises(metric) else had - score
    interval = _gain_interval(compared, challenger, level)
    own = None
    if part.rule.floor is not None:
        own = interval_of(resample_scores(use_case, answers, weights)[challenger], level)
    found = replace(
        nothing,
        challenger=None if math.isnan(score) else score,
        production=None if math.isnan(had) else had,
        difference=None if math.isnan(gain) else gain,
        interval=None if math.isnan(gain) else interval,
        score_interval=None if math.isnan(score) else own,
    )
    return _decided(found, metric, name)


def _decided(found: SliceFinding, metric: str, name: str) -> SliceFinding:
    """The same with a verdict, and in words."""
    if found.challenger is None:
        return replace(
            found, verdict="no_score", reason=f"{name}: {metric} is not defined on its {found.rows} rows"
        )
    other = found.challenger if found.production is None else found.production
    digits = digits_for((found.challenger, other))
    shown = f"{name}: {metric} {found.challenger:.{digits}f}"
    if found.production is not None and found.difference is not None:
        shown += f" against {found.production:.{digits}f}"
    shown += f" on {found.rows} rows"
    if found.interval is not None:
        low, high = found.interval.low, found.interval.high
        shown += f", gain {found.difference:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"
    if _is_worse(found):
        told = f"{shown}: a loss of more than {found.most_loss:g} is proven"
        return replace(found, verdict="worse", reason=told)
    own = found.score_interval
    if own is not None and _is_below_floor(own, found.floor, metric):
        side = "below" if rises(metric) else "above"
        told = f"{shown}: surely {side} {found.floor:g} [{own.low:.4f}, {own.high:.4f}]"
        better = found.difference is not None and found.difference > 0
        return replace(found, verdict="better_below_floor" if better else "below_floor", reason=told)
    return replace(found, verdict="kept", reason=shown)


def _is_worse(found: SliceFinding) -> bool:
    """Whether it is proven that more is lost than is allowed."""
    if found.most_loss is None or found.interval is None:
        return False
    return found.interval.high < -found.most_loss - ROUNDING


def _is_below_floor(own: Interval, floor: float | None, metric: str) -> bool:
    """Whether it is proven that a score is beyond the worst that is allowed."""
    if floor is None:
        return False
    return own.high < floor - ROUNDING if rises(metric) else own.low > floor + ROUNDING


def _gain_interval(compared: Comparison, challenger: str, level: float) -> Interval | None:
    if compared.production is None:
        return None
    return interval_of(compared.differences[challenger], level, compared.swaps.get(challenger))


def _named(part: Slice) -> str:
    field = part.rule.field
    return f"no {field}" if part.value is None else f"{field} '{part.value}'"


def _finding(part: Slice, verdict: SliceVerdict, reason: str) -> SliceFinding:
    """Of a slice of which nothing is known by now."""
    return SliceFinding(
        field=part.rule.field,
        value=part.value,
        verdict=verdict,
        rows=len(part.places),
        challenger=None,
        production=None,
        difference=None,
        interval=None,
        score_interval=None,
        most_loss=part.rule.most_loss,
        floor=part.rule.floor,
        reason=reason,
    )
