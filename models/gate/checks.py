"""The checks that a challenger must pass to replace production.

Pure functions of numbers. Each returns a frozen value that carries its evidence; whatever is
shown to a person (ledger, status, log, Prefect artifact) prints that value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from configs.schema import GateConfig
from models.gate.decision import GateDecision, deciding, weigh
from models.gate.forgetting import Forgetting
from models.gate.guesses import Guess
from models.gate.metrics import rises


def judge(
    gate: GateConfig,
    *,
    rows: int,
    challenger: float,
    production: float | None,
    differences: NDArray[np.float64] | None,
    challengers: int = 1,
    original: Forgetting | None = None,
) -> GateDecision:
    """Decide about one challenger, scored on the same held-out rows as production.

    `differences` are paired bootstrap resamples of the gain (Efron and Tibshirani, An Introduction
    to the Bootstrap, 1993, chapter 13), oriented so that more is better. With several challengers
    the interval of each is widened (Bonferroni), or trying many would pass one by luck.

    Args:
        rows: held-out rows that neither model has learned from.
        production: None when there has never been one.
        original: what it would forget; one that forgets is not promoted, however much it gains.
    """
    decided = deciding(gate, rows, challenger, production=production, original=original)
    if production is None:
        return decided("promote", "first_model", "there is no production yet")
    if rows < gate.min_rows:
        return decided("too_little_evidence", "too_few_rows", _too_few(gate, rows))
    found = weigh(gate, rows, challenger, production, differences, challengers)
    if found is None:
        return decided("too_little_evidence", "no_score", _undefined(gate, rows))
    if found.interval.low > gate.min_gain and original is not None and original.verdict == "forgotten":
        return decided("reject", "forgets", f"{found.shown}; but {original.reason}", found)
    if found.interval.low > gate.min_gain:
        return decided("promote", "beats_production", found.shown, found)
    if found.gain == 0:
        return decided("reject", "tie", found.shown, found)
    if found.gain < 0:
        return decided("reject", "worse", found.shown, found)
    return decided("too_little_evidence", "not_proven", found.unproven, found)


def judge_without_production(
    gate: GateConfig,
    *,
    rows: int,
    challenger: float,
    guesses: Sequence[Guess],
    error: str,
    challengers: int = 1,
) -> GateDecision:
    """Decide about one challenger where production exists and cannot answer: it must know something.

    That is proven against the guess that it beats least surely, with the evidence that is asked for
    against a production.

    Args:
        guesses: what answers that know nothing of the record come to on the same rows.
        error: why production cannot answer.
    """
    why = f"production cannot answer: {error}"
    if rows < gate.min_rows:
        decided = deciding(gate, rows, challenger)
        return decided("too_little_evidence", "too_few_rows", f"{why}; {_too_few(gate, rows)}")
    known = []
    for one in guesses:
        gained = weigh(gate, rows, challenger, one.score, one.differences, challengers)
        if gained is not None:
            known.append((one, gained))
    if len(known) < len(guesses) or not known:
        decided = deciding(gate, rows, challenger)
        return decided("too_little_evidence", "no_score", f"{why}; {_undefined(gate, rows)}")
    guess, found = min(known, key=lambda one: one[1].interval.low)
    decided = deciding(gate, rows, challenger, majority=guess.score)
    why = f"{why}; against {guess.name}"
    if found.interval.low > gate.min_gain:
        return decided("promote", "beats_majority", f"{why}: {found.shown}", found)
    if found.gain <= 0:
        return decided("reject", "below_majority", f"{why}: {found.shown}", found)
    return decided("too_little_evidence", "majority_not_proven", f"{why}: {found.unproven}", found)


def hold_back(gate: GateConfig, *, rows: int, challenger: float, reason: str) -> GateDecision:
    """Promote nothing: what serves is known and cannot be had, so that nothing can be compared with it."""
    return deciding(gate, rows, challenger)("hold_back", "production_gone", reason)


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
