"""Decisions without a comparison: production cannot answer, or is gone, or labels are chosen."""

from __future__ import annotations

from collections.abc import Sequence

from configs.schema import GateConfig
from models.gate.baselines import Baseline
from models.gate.decision import (
    Deciding,
    Gain,
    GateDecision,
    GateOutcome,
    deciding,
    too_few,
    undefined,
    weigh,
)


def judge_without_production(
    gate: GateConfig,
    *,
    rows: int,
    challenger: float,
    baselines: Sequence[Baseline],
    error: str,
    challengers: int = 1,
) -> GateDecision:
    """Decide about one challenger where production exists and cannot answer: it must know something.

    That is proven against the baseline that it beats least surely, with the evidence that is asked for
    against a production.

    Args:
        baselines: what answers that know nothing of the record come to on the same rows.
        error: why production cannot answer.
    """
    why = f"production cannot answer: {error}"
    undecided = deciding(gate, rows, challenger)
    if rows < gate.min_rows:
        return undecided("too_little_evidence", "too_few_rows", f"{why}; {too_few(gate, rows)}")
    gains = [
        weigh(gate, rows, challenger, one.score, one.differences, challengers, swaps=one.swaps)
        for one in baselines
    ]
    weighed = [(gain, one) for gain, one in zip(gains, baselines, strict=True) if gain is not None]
    if len(weighed) < len(baselines) or not weighed:
        return undecided("too_little_evidence", "no_score", f"{why}; {undefined(gate, rows)}")
    gain, baseline = min(weighed, key=lambda pair: pair[0].interval.low)
    decided = deciding(gate, rows, challenger, majority=baseline.score)
    return _decide_against_baseline(gate, decided, gain, f"{why}; against {baseline.name}")


def _decide_against_baseline(gate: GateConfig, decided: Deciding, gain: Gain, why: str) -> GateDecision:
    if gain.interval.low > gate.min_gain:
        return decided("promote", "beats_majority", f"{why}: {gain.shown}", gain)
    if gain.gain <= 0:
        return decided("reject", "below_majority", f"{why}: {gain.shown}", gain)
    return decided("too_little_evidence", "majority_not_proven", f"{why}: {gain.unproven}", gain)


def hold_back(
    gate: GateConfig,
    *,
    rows: int,
    challenger: float,
    reason: str,
    outcome: GateOutcome = "production_gone",
) -> GateDecision:
    """Promote nothing: what serves cannot be had, or labels that it knows were left out of the comparison."""
    return deciding(gate, rows, challenger)("hold_back", outcome, reason)


def believe_nothing(
    gate: GateConfig, *, rows: int, challenger: float, production: float | None, reason: str
) -> GateDecision:
    """Promote nothing: labels may be selected, and too few are protected against it. Scores are told only."""
    decided = deciding(gate, rows, challenger, production=production)
    return decided("too_little_evidence", "labels_selected", reason)
