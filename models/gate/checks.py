"""The checks that a challenger must pass to replace production, in order; each is one function.

Pure functions of numbers. Each returns a frozen value that carries its evidence; whatever is
shown to a person (ledger, status, log, Prefect artifact) prints that value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from configs.schema import GateConfig
from models.gate.bootstrap import Swaps
from models.gate.contest import Contest
from models.gate.decision import (
    OPENINGS,
    Gain,
    GateDecision,
    GateOutcome,
    GateVerdict,
    deciding,
    too_few,
    undefined,
)
from models.gate.forgetting import Forgetting
from models.metrics.shown import digits_for
from models.shadows.evidence import RecordGain


@dataclass(frozen=True)
class Finding:
    """What a check decides."""

    verdict: GateVerdict
    outcome: GateOutcome
    reason: str
    gain: Gain | None = None
    """The evidence, where it was weighed."""


Check = Callable[[Contest], Finding | None]
"""Decides, or leaves the decision to the next check."""


def there_is_production(contest: Contest) -> Finding | None:
    """The first model is promoted on however few rows."""
    if contest.production is None:
        return Finding("promote", "first_model", "there is no production yet")
    return None


def rows_are_enough(contest: Contest) -> Finding | None:
    """`gate.min_rows` of them."""
    if contest.rows < contest.gate.min_rows:
        return Finding("too_little_evidence", "too_few_rows", too_few(contest.gate, contest.rows))
    return None


def score_is_defined(contest: Contest) -> Finding | None:
    """Of both, and in resamples too."""
    if contest.weighed is None:
        return Finding("too_little_evidence", "no_score", undefined(contest.gate, contest.rows))
    return None


def forgets_nothing(contest: Contest) -> Finding | None:
    """One that is proven to forget is not promoted, however much it gains."""
    if _may_promote(contest) and contest.forgetting == "forgotten":
        return Finding("reject", "forgets", _but_of_old(contest), contest.gain)
    return None


def keeps_what_was_known(contest: Contest) -> Finding | None:
    """Where `gate.forgetting_proof` asks for it, one that may forget is not promoted either."""
    asked = contest.gate.forgetting_proof == "kept"
    if asked and _may_promote(contest) and contest.forgetting == "unproven":
        reason = f"{_but_of_old(contest)}; more labels may prove it"
        return Finding("too_little_evidence", "kept_not_proven", reason, contest.gain)
    return None


def gain_is_above(contest: Contest) -> Finding | None:
    """The whole interval of the gain lies above `gate.min_gain`."""
    if _is_above(contest):
        reason = f"{contest.gain.shown}{_fall_told(contest)}"
        return Finding("promote", "beats_production", reason, contest.gain)
    return None


def record_is_above(contest: Contest) -> Finding | None:
    """Challengers of the name gain by their record, and these rows do not speak against this one."""
    if contest.record is not None and _record_is_above(contest):
        held_out = contest.gain if contest.newest is None else contest.newest
        reason = f"{contest.record.shown}; itself {held_out.shown}{_fall_told(contest)}"
        return Finding("promote", "record_beats_production", reason, contest.gain)
    return None


def is_no_tie(contest: Contest) -> Finding | None:
    """Exactly as good is no reason to move."""
    if contest.gain.gain == 0:
        return Finding("reject", "tie", contest.gain.shown, contest.gain)
    return None


def is_not_worse(contest: Contest) -> Finding | None:
    """A gain below zero is a loss, proven or not."""
    if contest.gain.gain < 0:
        return Finding("reject", "worse", contest.gain.shown, contest.gain)
    return None


def is_proven(contest: Contest) -> Finding:
    """Better, but the interval of the gain reaches too low: whatever comes here is not proven."""
    return Finding("too_little_evidence", "not_proven", contest.gain.unproven, contest.gain)


CHECKS: tuple[Check, ...] = (
    there_is_production,
    rows_are_enough,
    score_is_defined,
    forgets_nothing,
    keeps_what_was_known,
    gain_is_above,
    record_is_above,
    is_no_tie,
    is_not_worse,
    is_proven,
)
"""In order: the first that decides has decided."""


def judge(
    gate: GateConfig,
    *,
    rows: int,
    challenger: float,
    production: float | None,
    differences: NDArray[np.float64] | None,
    challengers: int = 1,
    original: Forgetting | None = None,
    record: RecordGain | None = None,
    tries: int = 0,
    swaps: Swaps | None = None,
    newest: Gain | None = None,
) -> GateDecision:
    """Decide about one challenger, scored on the same held-out rows as production, by `CHECKS`.

    `differences` are paired bootstrap resamples of the gain (Efron and Tibshirani, An Introduction
    to the Bootstrap, 1993, chapter 13), oriented so that more is better. With several challengers
    the interval of each is widened (Bonferroni), or trying many would pass one by luck.

    Args:
        rows: held-out rows that neither model has learned from.
        production: None when there has never been one.
        original: what it would forget; one that surely forgets is not promoted, however much it gains.
        record: what earlier challengers of its name gained over what production is.
        tries: how often challengers were judged against this production before, which is paid for.
        swaps: what comes of dealing its answers and production's anew, where few rows tell.
        newest: what the newest of the rows tell by themselves, which may speak against the record.
    """
    contest = Contest(
        gate,
        rows,
        challenger,
        production,
        differences,
        challengers,
        original,
        record,
        tries,
        swaps,
        newest,
    )
    finding = next(finding for check in CHECKS if (finding := check(contest)) is not None)
    decided = deciding(gate, rows, challenger, production=production, original=original, record=record)
    told = record is not None and finding.verdict != "promote" and finding.gain is not None
    reason = f"{finding.reason}; {record.shown}" if record is not None and told else finding.reason
    return decided(finding.verdict, finding.outcome, reason, finding.gain)


LimitCheck = Callable[[GateConfig, GateDecision], Finding | None]
"""Looks at the evidence of a decision to promote; decides against it, or leaves it to the next check."""


def no_slice_is_worse(_gate: GateConfig, decision: GateDecision) -> Finding | None:
    """Nobody pays for what is gained on all records."""
    worse = [one.reason for one in decision.slices if one.verdict == "worse"]
    return Finding("reject", "slice_worse", "; ".join(worse[:MOST_TOLD])) if worse else None


def no_slice_is_below_its_floor(_gate: GateConfig, decision: GateDecision) -> Finding | None:
    """However well all records are answered; production that does worse there does not stay for it."""
    below = [one.reason for one in decision.slices if one.verdict == "below_floor"]
    return Finding("reject", "slice_below_floor", "; ".join(below[:MOST_TOLD])) if below else None


def scores_can_be_believed(gate: GateConfig, decision: GateDecision) -> Finding | None:
    """Within `gate.most_calibration_error`, or no worse than what serves."""
    found, most = decision.calibration, gate.most_calibration_error
    if found is None or most is None or found.challenger <= most or not found.is_worse:
        return None
    assert found.rise is not None
    assert found.production is not None
    digits = digits_for((found.challenger, found.production), (found.rise.low, 0), (found.challenger, most))
    shown = (
        f"calibration error {found.challenger:.{digits}f} against {found.production:.{digits}f} on "
        f"{found.rows} rows, rise [{found.rise.low:+.{digits}f}, {found.rise.high:+.{digits}f}]; "
        f"gate.most_calibration_error is {most:g}"
    )
    return Finding("reject", "miscalibrated", shown)


def is_no_larger(gate: GateConfig, decision: GateDecision) -> Finding | None:
    """`gate.most_bytes`, whatever production has."""
    costs, most = decision.costs, gate.most_bytes
    if costs is None or most is None or costs.bytes <= most:
        return None
    return Finding("reject", "too_large", f"{costs.bytes:,} bytes on disk; gate.most_bytes is {most:,}")


def is_no_slower(gate: GateConfig, decision: GateDecision) -> Finding | None:
    """`gate.most_latency_ms`, whatever production takes."""
    costs, most = decision.costs, gate.most_latency_ms
    if costs is None or most is None or costs.latency_ms is None or costs.latency_ms <= most:
        return None
    figure = f"{costs.latency_ms:.3g} ms for a single record, by {costs.records} of them"
    return Finding("reject", "too_slow", f"{figure}; gate.most_latency_ms is {most:g}")


LIMITS: tuple[LimitCheck, ...] = (
    no_slice_is_worse,
    no_slice_is_below_its_floor,
    scores_can_be_believed,
    is_no_larger,
    is_no_slower,
)
"""In order, asked of every decision to promote, whatever came to it: the first that decides has decided."""
MOST_TOLD = 3
"""Slices that a reason names."""


def hold_to_limits(gate: GateConfig, decision: GateDecision) -> GateDecision:
    """The decision, or where it would promote what goes beyond a limit, one that rejects."""
    if decision.verdict != "promote":
        return decision
    finding = next((finding for check in LIMITS if (finding := check(gate, decision)) is not None), None)
    if finding is None:
        return replace(decision, reason=f"{decision.reason}{_slices_told(decision)}")
    reason = f"{OPENINGS[finding.outcome]}: {finding.reason}; {decision.reason}"
    return replace(decision, verdict=finding.verdict, outcome=finding.outcome, reason=reason)


def _slices_told(decision: GateDecision) -> str:
    """Slices that nothing is said of, and those that are below the floor as production is."""
    few = [one.reason for one in decision.slices if one.verdict in ("too_few_rows", "no_score")]
    low = [one.reason for one in decision.slices if one.verdict == "better_below_floor"]
    more = [f"{len(few)} of {len(decision.slices)} slices are not judged: {few[0]}"] if few else []
    return "".join(f"; {one}" for one in [*more, *low[:MOST_TOLD]])


def _is_above(contest: Contest) -> bool:
    return contest.gain.interval.low > contest.gate.min_gain


def _record_is_above(contest: Contest) -> bool:
    record = contest.record
    return record is not None and record.passes and not contest.is_proven_less


def _may_promote(contest: Contest) -> bool:
    return _is_above(contest) or _record_is_above(contest)


def _but_of_old(contest: Contest) -> str:
    assert contest.original is not None
    return f"{contest.gain.shown}; but {contest.original.reason}"


def _fall_told(contest: Contest) -> str:
    """A fall beyond the margin that chance may explain promotes all the same, and is told."""
    original = contest.original
    if original is None or original.verdict != "unproven" or not original.is_beyond:
        return ""
    return f"; {original.reason}"
