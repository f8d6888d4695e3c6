"""The decisions: has the data drifted, may a challenger replace production.

Pure functions of numbers. Each returns a frozen value that carries its evidence; whatever is
shown to a person (ledger, status, log, Prefect artifact) prints that value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from configs.schema import DriftConfig, GateConfig
from models.bootstrap import Interval, interval_of
from models.forgetting import Forgetting
from models.metrics import rises

GateVerdict = Literal["promote", "reject", "too_little_evidence"]
GateOutcome = Literal[
    "first_model",
    "production_failed",
    "beats_production",
    "worse",
    "tie",
    "not_proven",
    "forgets",
    "too_few_rows",
    "no_score",
]
DriftVerdict = Literal["drift", "no_drift", "too_little_evidence"]

# Tests answer with a p-value, which falls as samples part; distances rise.
P_VALUE_METHODS = frozenset({"ks", "chisquare"})


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

    def as_dict(self) -> dict[str, Any]:
        """The decision as plain values, for JSON."""
        return asdict(self)


def judge(
    gate: GateConfig,
    *,
    rows: int,
    challenger: float,
    production: float | None,
    differences: NDArray[np.float64] | None,
    challengers: int = 1,
    production_error: str | None = None,
    original: Forgetting | None = None,
) -> GateDecision:
    """Decide about one challenger, scored on the same held-out rows as production.

    `differences` are paired bootstrap resamples of the gain (Efron and Tibshirani, An Introduction
    to the Bootstrap, 1993, chapter 13), oriented so that more is better. With several challengers
    the interval of each is widened (Bonferroni), or trying many would pass one by luck.

    Args:
        rows: held-out rows that neither model has learned from.
        production: None when there is no production, or it could not be scored.
        production_error: why production could not answer, when it exists.
        original: what it would forget; one that forgets is not promoted, however much it gains.
    """

    def decided(
        verdict: GateVerdict,
        outcome: GateOutcome,
        reason: str,
        *,
        difference: float | None = None,
        interval: Interval | None = None,
    ) -> GateDecision:
        return GateDecision(
            verdict=verdict,
            outcome=outcome,
            metric=gate.metric,
            rows=rows,
            challenger=None if math.isnan(challenger) else challenger,
            production=production if production is None or not math.isnan(production) else None,
            difference=difference,
            interval=interval,
            min_gain=gate.min_gain,
            reason=reason,
            original=original,
        )

    if production_error is not None:
        return decided("promote", "production_failed", f"production cannot answer: {production_error}")
    if production is None:
        return decided("promote", "first_model", "there is no production yet")
    if rows < gate.min_rows:
        return decided(
            "too_little_evidence", "too_few_rows", f"{rows} rows to judge on; {gate.min_rows} are needed"
        )
    level = 1 - (1 - gate.confidence) / challengers
    interval = None if differences is None else interval_of(differences, level)
    if math.isnan(challenger) or math.isnan(production) or interval is None:
        return decided(
            "too_little_evidence", "no_score", f"{gate.metric} is not defined on these {rows} rows"
        )
    gain = challenger - production if rises(gate.metric) else production - challenger
    shown = (
        f"{gate.metric} {challenger:.4f} against {production:.4f} on {rows} rows, "
        f"gain {gain:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"
    )
    if interval.low > gate.min_gain and original is not None and original.verdict == "forgotten":
        why = f"{shown}; but {original.reason}"
        return decided("reject", "forgets", why, difference=gain, interval=interval)
    if interval.low > gate.min_gain:
        return decided("promote", "beats_production", shown, difference=gain, interval=interval)
    if gain == 0:
        return decided("reject", "tie", shown, difference=gain, interval=interval)
    if gain < 0:
        return decided("reject", "worse", shown, difference=gain, interval=interval)
    return decided(
        "too_little_evidence",
        "not_proven",
        f"{shown}: the interval must lie above {gate.min_gain:g}; more labels may prove it",
        difference=gain,
        interval=interval,
    )


def best(decisions: Mapping[str, GateDecision]) -> str:
    """Name of the challenger to act on: a promotable one if any, then the largest gain, then the first.

    Raises:
        ValueError: no decisions.
    """
    if not decisions:
        raise ValueError("no challenger was judged")
    order = {"promote": 0, "too_little_evidence": 1, "reject": 2}

    def rank(name: str) -> tuple[int, float]:
        decision = decisions[name]
        score = decision.difference
        if score is None:
            oriented = decision.challenger if rises(decision.metric) else _negative(decision.challenger)
            score = -math.inf if oriented is None else oriented
        return order[decision.verdict], -score

    return min(decisions, key=rank)


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


def _negative(value: float | None) -> float | None:
    return None if value is None else -value
