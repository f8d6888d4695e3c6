"""The decisions: has the data drifted, is a retrain due, may a challenger replace production.

Pure functions of numbers. Each returns a frozen value that carries its evidence; whatever is
shown to a person (ledger, status, log, Prefect artifact) prints that value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from configs.schema import DriftConfig, GateConfig, RetrainConfig
from models.metrics import METRICS

GateVerdict = Literal["promote", "reject", "too_little_evidence"]
GateOutcome = Literal[
    "first_model",
    "production_failed",
    "beats_production",
    "worse",
    "tie",
    "not_proven",
    "too_few_rows",
    "no_score",
]
DriftVerdict = Literal["drift", "no_drift", "too_little_evidence"]
RetrainVerdict = Literal["retrain", "wait", "collect_labels"]

# Tests answer with a p-value, which falls as samples part; distances rise.
P_VALUE_METHODS = frozenset({"ks", "chisquare"})


@dataclass(frozen=True)
class Interval:
    """A bootstrap percentile interval."""

    low: float
    high: float
    level: float


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
) -> GateDecision:
    """Decide about one challenger, scored on the same held-out rows as production.

    `differences` are paired bootstrap resamples of the gain (Efron and Tibshirani, An Introduction
    to the Bootstrap, 1993, chapter 13), oriented so that more is better. With several challengers
    the interval of each is widened (Bonferroni), or trying many would pass one by luck.

    Args:
        rows: held-out rows that neither model has learned from.
        production: None when there is no production, or it could not be scored.
        production_error: why production could not answer, when it exists.
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
        )

    if production_error is not None:
        return decided("promote", "production_failed", f"production cannot answer: {production_error}")
    if production is None:
        return decided("promote", "first_model", "there is no production yet")
    if rows < gate.min_rows:
        return decided(
            "too_little_evidence", "too_few_rows", f"{rows} rows to judge on; {gate.min_rows} are needed"
        )
    finite = np.asarray([] if differences is None else differences, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    if math.isnan(challenger) or math.isnan(production) or not finite.size:
        return decided(
            "too_little_evidence", "no_score", f"{gate.metric} is not defined on these {rows} rows"
        )
    level = 1 - (1 - gate.confidence) / challengers
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    interval = Interval(float(low), float(high), level)
    gain = challenger - production if _rises(gate.metric) else production - challenger
    shown = (
        f"{gate.metric} {challenger:.4f} against {production:.4f} on {rows} rows, "
        f"gain {gain:+.4f} [{low:+.4f}, {high:+.4f}]"
    )
    if low > gate.min_gain:
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
            oriented = decision.challenger if _rises(decision.metric) else _negative(decision.challenger)
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


@dataclass(frozen=True)
class RetrainDecision:
    """Whether to retrain now, and what is still needed when not."""

    verdict: RetrainVerdict
    trigger: str | None
    """What made it due: first_model, labels, drift or age."""
    reasons: tuple[str, ...]
    new_labels: int
    age: timedelta | None
    recommendation: str

    def as_dict(self) -> dict[str, Any]:
        """The decision as plain values, for JSON; the age in days."""
        age = None if self.age is None else self.age.total_seconds() / 86_400
        return {**asdict(self), "reasons": list(self.reasons), "age": age}


def decide_retrain(
    config: RetrainConfig,
    *,
    new_labels: int,
    total_labels: int,
    min_rows: int,
    age: timedelta | None,
    drift: Sequence[bool],
    untried_labels: int | None = None,
) -> RetrainDecision:
    """Decide whether a retrain is due.

    The drift rule asks for k violations among the last n checks, the newest among them
    (databricks/mlops-stacks, metric_violation_check_query), so that one odd hour starts nothing.

    Args:
        new_labels: labels that came since production's snapshot.
        total_labels: all labels of the use case.
        min_rows: rows that training needs at least.
        age: of production; None when there is none.
        drift: the last drift checks, newest first; True where drift was found.
        untried_labels: of the new labels, those that no run has tried to learn from; None: all. A run that
            promoted nothing would come to the same again.
    """
    untried = new_labels if untried_labels is None else untried_labels

    def decided(
        verdict: RetrainVerdict, trigger: str | None, reasons: Sequence[str], recommendation: str
    ) -> RetrainDecision:
        return RetrainDecision(verdict, trigger, tuple(reasons), new_labels, age, recommendation)

    if total_labels < min_rows:
        missing = min_rows - total_labels
        reason = f"{total_labels} labels in all; training needs {min_rows}"
        return decided("collect_labels", None, [reason], f"need {missing} more labels")
    if age is None:
        return decided("retrain", "first_model", ["there is no production yet"], "retrain now")
    window = list(drift[: config.drift_windows])
    sustained = bool(window) and window[0] and sum(window) >= config.drift_violations
    limit = None if config.max_age_days is None else timedelta(days=config.max_age_days)
    due = {
        "labels": config.every_labels is not None and untried >= config.every_labels,
        "drift": sustained,
        "age": limit is not None and age >= limit,
    }
    said = {
        "labels": f"{untried} new labels; one retrain every {config.every_labels}",
        "drift": f"drift in {sum(window)} of the last {len(window)} checks, the newest among them",
        "age": f"production is {age.days} days old; the limit is {config.max_age_days:g}"
        if config.max_age_days is not None
        else "",
    }
    reasons = [said[name] for name, is_due in due.items() if is_due]
    if new_labels < config.min_labels:
        missing = config.min_labels - new_labels
        short = f"{new_labels} new labels; {config.min_labels} are needed before any retrain"
        return decided("collect_labels", None, [*reasons, short], f"need {missing} more labels")
    if reasons and untried == 0:
        reasons.append("the last run learned from all labels, and promoted nothing")
        return decided("wait", None, reasons, "need more labels")
    if reasons:
        return decided("retrain", next(name for name in due if due[name]), reasons, "retrain now")
    return decided("wait", None, ["nothing makes a retrain due"], _still_needed(config, untried, age, limit))


def _still_needed(config: RetrainConfig, untried: int, age: timedelta, limit: timedelta | None) -> str:
    needs = []
    if config.every_labels is not None:
        needs.append(f"{config.every_labels - untried} more labels")
    if limit is not None:
        needs.append(f"{max(1, math.ceil((limit - age) / timedelta(days=1)))} more days")
    needs.append("sustained drift")
    return "need " + " or ".join(needs)


def _rises(metric: str) -> bool:
    return METRICS[metric].direction == "higher"


def _negative(value: float | None) -> float | None:
    return None if value is None else -value
