"""The checks that a challenger must pass to replace production, in order; each is one function.

Pure functions of numbers. Each returns a frozen value that carries its evidence; whatever is
shown to a person (ledger, status, log, Prefect artifact) prints that value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from configs.schema import GateConfig
from models.gate.baselines import Baseline
from models.gate.bootstrap import Swaps
from models.gate.decision import (
    SHARE_BESIDE_RECORD,
    Deciding,
    Gain,
    GateDecision,
    GateOutcome,
    GateVerdict,
    deciding,
    share_spent,
    weigh,
)
from models.gate.forgetting import Forgetting
from models.metrics.catalogue import rises
from models.shadows.evidence import RecordGain


@dataclass(frozen=True)
class Contest:
    """One challenger and production, scored on the same held-out rows."""

    gate: GateConfig
    rows: int
    challenger: float
    """Its score in the gate's metric; NaN where that is not defined."""
    production: float | None
    """The same of production; None: there has never been one."""
    differences: NDArray[np.float64] | None
    """Paired resamples of the gain, oriented so that more is better."""
    challengers: int
    """How many are judged at once."""
    original: Forgetting | None
    """What the challenger would forget."""
    record: RecordGain | None = None
    """What its predecessors gained over what production is."""
    tries: int = 0
    """How often challengers were judged against this production before."""
    swaps: Swaps | None = None
    """What comes of dealing its answers and production's anew, where few rows tell."""
    newest: Gain | None = None
    """What the newest rows tell by themselves; None: all of them are new."""

    @cached_property
    def weighed(self) -> Gain | None:
        """How far the challenger is above production; None where the metric is not defined."""
        return self._weigh(share_spent(self.tries) if self.record is None else SHARE_BESIDE_RECORD)

    @property
    def is_proven_less(self) -> bool:
        """Whether one look would prove that it gains less than is asked for: at the newest rows, as what was
        held out long ago tells of the world of then."""
        gain = self._weigh(1.0) if self.newest is None else self.newest
        return gain is None or gain.interval.high < self.gate.min_gain

    def _weigh(self, share: float) -> Gain | None:
        if self.production is None:
            return None
        return weigh(
            self.gate,
            self.rows,
            self.challenger,
            self.production,
            self.differences,
            self.challengers,
            share,
            self.swaps,
        )

    @property
    def gain(self) -> Gain:
        """The same, for checks that come after `score_is_defined`."""
        assert self.weighed is not None
        return self.weighed


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
        return Finding("too_little_evidence", "too_few_rows", _too_few(contest.gate, contest.rows))
    return None


def score_is_defined(contest: Contest) -> Finding | None:
    """Of both, and in resamples too."""
    if contest.weighed is None:
        return Finding("too_little_evidence", "no_score", _undefined(contest.gate, contest.rows))
    return None


def forgets_nothing(contest: Contest) -> Finding | None:
    """One that forgets is not promoted, however much it gains."""
    original = contest.original
    if (
        (_is_above(contest) or _record_is_above(contest))
        and original is not None
        and original.verdict == "forgotten"
    ):
        reason = f"{contest.gain.shown}; but {original.reason}"
        return Finding("reject", "forgets", reason, contest.gain)
    return None


def gain_is_above(contest: Contest) -> Finding | None:
    """The whole interval of the gain lies above `gate.min_gain`."""
    if _is_above(contest):
        return Finding("promote", "beats_production", contest.gain.shown, contest.gain)
    return None


def record_is_above(contest: Contest) -> Finding | None:
    """Challengers of the name gain by their record, and these rows do not speak against this one."""
    if contest.record is not None and _record_is_above(contest):
        held_out = contest.gain if contest.newest is None else contest.newest
        reason = f"{contest.record.shown}; itself {held_out.shown}"
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
        original: what it would forget; one that forgets is not promoted, however much it gains.
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
        return undecided("too_little_evidence", "too_few_rows", f"{why}; {_too_few(gate, rows)}")
    gains = [
        weigh(gate, rows, challenger, one.score, one.differences, challengers, swaps=one.swaps)
        for one in baselines
    ]
    weighed = [(gain, one) for gain, one in zip(gains, baselines, strict=True) if gain is not None]
    if len(weighed) < len(baselines) or not weighed:
        return undecided("too_little_evidence", "no_score", f"{why}; {_undefined(gate, rows)}")
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


def _is_above(contest: Contest) -> bool:
    return contest.gain.interval.low > contest.gate.min_gain


def _record_is_above(contest: Contest) -> bool:
    record = contest.record
    return record is not None and record.passes and not contest.is_proven_less


def _too_few(gate: GateConfig, rows: int) -> str:
    return f"{rows} rows to judge on; {gate.min_rows} are needed"


def _undefined(gate: GateConfig, rows: int) -> str:
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
