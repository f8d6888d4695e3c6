"""Has the data drifted? A pure function of what was measured for each column; measuring is outside.

A column has moved when it is far enough to matter (`drift.threshold`) and certain not to be chance.
The decision carries its evidence; whatever is shown to a person prints it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from configs.schema import DriftConfig
from models.drift.certainty import correct_for_many, level_needed
from models.drift.distances import is_beyond

DriftVerdict = Literal["drift", "no_drift", "too_little_evidence"]


MISSING = "missing"
"""Method of a column whose values have gone missing or come; its value is the change of the share missing."""
_SHOWN = 5


@dataclass(frozen=True)
class ColumnDrift:
    """How far one column has moved."""

    method: str
    value: float
    drifted: bool
    p_value: float | None = None
    """How seldom chance alone makes as much of any column; None where nothing need be measured."""
    moved: str | None = None
    """What it was before and is now, of a column that has moved."""


@dataclass(frozen=True)
class DriftDecision:
    """Whether recent records differ from those production learned from."""

    verdict: DriftVerdict
    share: float | None
    share_threshold: float
    threshold: float
    columns: Mapping[str, ColumnDrift]
    reference_rows: int
    current_rows: int
    reason: str
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Column to the reason why it was not compared."""
    remarks: Mapping[str, str] = field(default_factory=dict)
    """Column to what is certain of it beside: constant now, new values, missing more often."""

    def as_dict(self) -> dict[str, Any]:
        """The decision as plain values, for JSON."""
        return asdict(self)


def decide_drift(
    config: DriftConfig,
    measured: Mapping[str, tuple[str, float]],
    p_values: Mapping[str, float],
    *,
    reference_rows: int,
    current_rows: int,
    gone: Mapping[str, tuple[float, float]] = MappingProxyType({}),
    left_out: Mapping[str, str] = MappingProxyType({}),
    remarks: Mapping[str, str] = MappingProxyType({}),
    enough: Collection[str] = (),
) -> DriftDecision:
    """Decide from what was measured: drift where enough columns have moved, or where one has gone missing.

    Args:
        measured: column to method and value.
        p_values: of each of them, by itself.
        gone: column whose values have gone missing, or come, to the share missing before and now.
        left_out: column to the reason why it was not compared.
        remarks: column to what is certain of it beside how far it has moved.
        enough: columns of which one that has moved is drift, whatever their share.
    """
    columns = {name: ColumnDrift(MISSING, abs(now - before), True) for name, (before, now) in gone.items()}
    corrected = correct_for_many({name: p_values[name] for name in measured})
    level = level_needed(corrected.values())
    for name, (method, value) in measured.items():
        has_moved = is_beyond(method, value, config.threshold) and corrected[name] <= level
        columns[name] = ColumnDrift(method, value, has_moved, corrected[name])
    verdict, share, reason = _judge(config, columns, {*gone, *enough}, reference_rows, current_rows)
    reason = "; ".join([*(_tell_gone(name, *shares) for name, shares in gone.items()), reason])
    if remarks:
        reason += f"; {_listed([f'{name}: {what}' for name, what in remarks.items()], '; ')}"
    if left_out:
        named = [f"{name} ({why})" for name, why in left_out.items()]
        reason += f"; not compared: {_listed(named)}"
    return DriftDecision(
        verdict=verdict,
        share=share,
        share_threshold=config.share,
        threshold=config.threshold,
        columns=columns,
        reference_rows=reference_rows,
        current_rows=current_rows,
        reason=reason,
        left_out=dict(left_out),
        remarks=dict(remarks),
    )


def _judge(
    config: DriftConfig,
    columns: Mapping[str, ColumnDrift],
    enough: Collection[str],
    reference_rows: int,
    current_rows: int,
) -> tuple[DriftVerdict, float | None, str]:
    """Verdict, share of columns that moved, and why."""
    if min(reference_rows, current_rows) < config.min_rows:
        counts = f"{current_rows} recent and {reference_rows} reference rows"
        return "too_little_evidence", None, f"{counts}; {config.min_rows} of each are needed"
    if not columns:
        return "too_little_evidence", None, "no column can be compared"
    moved = sorted(name for name, column in columns.items() if column.drifted)
    share = len(moved) / len(columns)
    reason = f"{len(moved)} of {len(columns)} columns moved"
    if config.share:
        reason += f" (share {share:.2f}, threshold {config.share:.2f})"
    if moved:
        reason += f": {_listed(moved)}"
    if doubtful := sum(
        not column.drifted and is_beyond(column.method, column.value, config.threshold)
        for column in columns.values()
    ):
        reason += f"; {doubtful} more beyond the threshold, as chance makes of {current_rows} recent rows"
    has_drifted = not {*moved}.isdisjoint(enough) or (bool(moved) and share >= config.share)
    return "drift" if has_drifted else "no_drift", share, reason


def _tell_gone(name: str, before: float, now: float) -> str:
    what = "has gone missing" if now > before else "is no longer missing"
    return f"{name.partition(':')[0]} {what} (missing in {now:.0%} of recent records, {before:.0%} before)"


def _listed(names: Sequence[str], between: str = ", ") -> str:
    return between.join(names[:_SHOWN]) + (" and more" if len(names) > _SHOWN else "")
