"""Rows chosen by what was answered and how surely, weighed so that they stand for all answers.

Post-stratification (D. Holt and T. M. F. Smith, "Post Stratification", Journal of the Royal Statistical
Society A 142, 1979): within one answer and one range of its score each row counts for as many answers as
there are to a row. That repairs a choice by answer and score, and no other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.metrics.arrays import Floats

SCORE_RANGES = 5
"""Of each label's scores, of as many answers each."""
MOST_UNCOVERED = 0.05
"""Largest share of all answers that may be of a kind of which no row is there."""


@dataclass(frozen=True)
class RowWeights:
    """What each of n answers counts for."""

    weights: Floats
    """1 on average of the chosen ones; 0 for the others."""
    uncovered: float
    """Share of all answers that are of a kind of which none was chosen."""

    @property
    def effective_rows(self) -> float:
        """As many rows without weights would say as much (L. Kish, Survey Sampling, 1965)."""
        squares = float((self.weights**2).sum())
        return float(self.weights.sum()) ** 2 / squares if squares else 0.0


def post_stratify(
    labels: NDArray[np.object_], scores: NDArray[np.float64], chosen: NDArray[np.bool_]
) -> RowWeights:
    """Weights of the chosen ones among n answers, by label and range of score.

    Args:
        labels: what was answered.
        scores: its score; NaN where there is none.
    """
    strata = _strata(labels, scores)
    size = int(strata.max(initial=0)) + 1
    totals, there = np.bincount(strata, minlength=size), np.bincount(strata[chosen], minlength=size)
    uncovered = float(totals[there == 0].sum()) / max(1, len(labels))
    of_stratum = np.divide(totals, there, out=np.zeros(size), where=there > 0)
    weights = np.where(chosen, of_stratum[strata], 0.0)
    count = int(chosen.sum())
    return RowWeights(weights * count / weights.sum() if count else weights, uncovered)


def _strata(labels: NDArray[np.object_], scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """A number for label and range of score."""
    _, of_label = np.unique(labels.astype(str), return_inverse=True)
    ranges = np.zeros(len(labels), dtype=np.int64)
    for label in range(int(of_label.max(initial=-1)) + 1):
        own = np.flatnonzero((of_label == label) & np.isfinite(scores))
        if own.size:
            edges = np.quantile(scores[own], np.linspace(0, 1, SCORE_RANGES + 1)[1:-1])
            ranges[own] = 1 + np.searchsorted(edges, scores[own], side="right")
    strata: NDArray[np.int64] = of_label * (SCORE_RANGES + 1) + ranges
    return strata
