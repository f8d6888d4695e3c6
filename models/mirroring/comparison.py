"""A shadow version beside what was served, on the same live records: scores, and right answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.probation.wealth import log_wealth
from store.predictions.audits import ENOUGH, LEAST_LABELLED
from store.predictions.coverage import FEW
from store.predictions.labelled_answers import Z
from store.predictions.shadow_figures import LabelledCounts

LEAST_SCORES = 100
"""With fewer nothing is said of how scores lie."""
MATTERS = 0.1
"""Distance from which on scores are told to have moved, where it is certain."""
CERTAIN = math.sqrt(-math.log(0.001 / 2) / 2)
"""Smirnov's bound at 1 in 1,000, for samples of unlimited size."""
LINE = 20.0
"""Evidence at which one of the two is told to be better: a chance of 5% at most that this is ever wrong."""

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class ScoreMove:
    """How the scores of n records lie, beside those that were served."""

    rows: int
    served_mean: float
    shadow_mean: float
    distance: float
    """Largest difference between the shares of scores below any value (Kolmogorov and Smirnov)."""
    moved: bool
    """Whether that matters and is certain."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return _rounded(asdict(self))


@dataclass(frozen=True)
class RightAnswers:
    """Right answers of both on the same labelled records."""

    labelled: int
    served_right: int
    shadow_right: int
    better: int
    """Records that only the shadow version has right."""
    worse: int
    difference: float
    """Share of right answers of the shadow version less that of what was served."""
    low: float
    high: float
    """It lies between them, 95 of 100 times."""
    evidence_better: float
    """What a bet has come to that the shadow version is better; it may be looked at at any time."""
    evidence_worse: float
    verdict: Literal["better", "worse", "open"]
    of: Literal["audited", "all"]
    """Which labels count: of answers drawn by chance where the others may be chosen, else all."""
    warning: str | None
    """What to know before it is believed."""
    line: float = LINE

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return _rounded(asdict(self))


def compare_scores(served: Counts, shadow: Counts) -> ScoreMove | None:
    """How scores lie that were counted in bins from 0 to 1; None: they are too few.

    Args:
        served: of what was served, shape (bins,).
        shadow: of the shadow version on the same records.
    """
    rows = int(served.sum())
    if rows < LEAST_SCORES:
        return None
    middles = (np.arange(len(served)) + 0.5) / len(served)
    distance = float(np.abs(np.cumsum(served) - np.cumsum(shadow)).max() / rows)
    served_mean, shadow_mean = (float(counts @ middles / rows) for counts in (served, shadow))
    is_certain = distance > CERTAIN * math.sqrt(2 / rows)
    return ScoreMove(rows, served_mean, shadow_mean, distance, is_certain and distance > MATTERS)


def compare_right(counts: Mapping[bool, LabelledCounts], answered: int, audited: int) -> RightAnswers | None:
    """Who was right more often; None: no label has come.

    Labels may come for answers that somebody found wrong, and then whoever was not served seems better. So
    labels of answers drawn by chance count alone where most others have none.

    Args:
        counts: of labelled answers drawn by chance (True), and of the others.
        answered: all answers of the shadow version.
        audited: those of them that were drawn by chance.
    """
    drawn, others = counts[True], counts[False]
    labelled = drawn.rows + others.rows
    if labelled == 0:
        return None
    if labelled >= FEW * answered:
        return _right_answers(_together(drawn, others), "all", None)
    if drawn.rows >= max(LEAST_LABELLED, ENOUGH * audited):
        return _right_answers(drawn, "audited", None)
    warning = (
        f"{labelled:,} of {answered:,} answers have a label: if labels are sent for wrong answers rather "
        "than for right ones, the shadow version seems better than it is; audited answers would tell"
    )
    return _right_answers(_together(drawn, others), "all", warning)


def _right_answers(
    counts: LabelledCounts, of: Literal["audited", "all"], warning: str | None
) -> RightAnswers:
    better, worse, rows = counts.shadow_only, counts.served_only, counts.rows
    differences = np.repeat([1.0, -1.0, 0.0], [better, worse, counts.both + counts.neither])
    for_it, against_it = (math.exp(min(700.0, log_wealth(sign * differences))) for sign in (1, -1))
    low, high = paired_interval(better, worse, rows)
    verdict: Literal["better", "worse", "open"] = (
        "better" if for_it >= LINE else "worse" if against_it >= LINE else "open"
    )
    return RightAnswers(
        labelled=rows,
        served_right=counts.both + worse,
        shadow_right=counts.both + better,
        better=better,
        worse=worse,
        difference=(better - worse) / rows,
        low=low,
        high=high,
        evidence_better=for_it,
        evidence_worse=against_it,
        verdict=verdict,
        of=of,
        warning=warning,
    )


def paired_interval(better: int, worse: int, rows: int) -> tuple[float, float]:
    """Interval, at 95%, of the difference of two shares of the same n rows.

    Wald's with a row added to either side (D. G. Bonett and R. M. Price, "Adjusted Wald confidence interval
    for a difference of binomial proportions based on paired data", J. Educ. Behav. Stat. 37, 2012).

    >>> [round(end, 3) for end in paired_interval(12, 4, 100)]
    [-0.004, 0.161]
    """
    gained, lost = (better + 1) / (rows + 2), (worse + 1) / (rows + 2)
    half = Z * math.sqrt(max(0.0, gained + lost - (gained - lost) ** 2) / (rows + 2))
    return max(-1.0, gained - lost - half), min(1.0, gained - lost + half)


def _together(one: LabelledCounts, other: LabelledCounts) -> LabelledCounts:
    return LabelledCounts(
        one.both + other.both,
        one.served_only + other.served_only,
        one.shadow_only + other.shadow_only,
        one.neither + other.neither,
    )


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in values.items()}
