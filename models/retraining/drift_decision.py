"""Has the data drifted? A pure function of what was measured for each column; measuring is outside.

The decision carries its evidence; whatever is shown to a person prints it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from configs.schema import DriftConfig
from models.retraining.drift_distances import P_VALUE_METHODS

DriftVerdict = Literal["drift", "no_drift", "too_little_evidence"]


@dataclass(frozen=True)
class ColumnDrift:
    """How far one column has moved."""

    method: str
    value: float
    drifted: bool


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

    def as_dict(self) -> dict[str, Any]:
        """The decision as plain values, for JSON."""
        return asdict(self)


def decide_drift(
    config: DriftConfig, measured: Mapping[str, tuple[str, float]], *, reference_rows: int, current_rows: int
) -> DriftDecision:
    """Decide from what was measured per column: name -> (method, value)."""
    columns = {
        name: ColumnDrift(
            method,
            value,
            bool(value < config.threshold if method in P_VALUE_METHODS else value > config.threshold),
        )
        for name, (method, value) in measured.items()
    }
    if min(reference_rows, current_rows) < config.min_rows or not columns:
        verdict: DriftVerdict = "too_little_evidence"
        share = None
        reason = (
            f"{current_rows} recent and {reference_rows} reference rows; {config.min_rows} of each are needed"
        )
    else:
        moved = sorted(name for name, column in columns.items() if column.drifted)
        share = len(moved) / len(columns)
        verdict = "drift" if share >= config.share else "no_drift"
        reason = (
            f"{len(moved)} of {len(columns)} columns moved (share {share:.2f}, threshold {config.share:.2f})"
        )
        if moved:
            reason += f": {', '.join(moved[:5])}" + (" and more" if len(moved) > 5 else "")
    return DriftDecision(
        verdict=verdict,
        share=share,
        share_threshold=config.share,
        threshold=config.threshold,
        columns=columns,
        reference_rows=reference_rows,
        current_rows=current_rows,
        reason=reason,
    )
