"""How far the scores of answers are from how often these are right.

The expected calibration error of the answered class (M. P. Naeini, G. F. Cooper and M. Hauskrecht, "Obtaining
Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015): rows are sorted by score into bins of as
many rows each, and the mean score of a bin is held against its share of right answers. Even scores that are
exact differ from that by chance, the more the fewer rows there are. Most of what chance adds is taken off,
bin by bin, as A. Kumar, P. Liang and T. Ma do it ("Verified Uncertainty Calibration", NeurIPS 2019).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.metrics.arrays import Floats, ratio

MOST_BINS = 10
ROWS_OF_A_BIN = 50
"""At least, where there are as many."""


def calibration_errors(right: NDArray[np.bool_], scores: Floats, weights: Floats) -> Floats:
    """The error for each row of weights, shape (r,): 0 where scores are exact, and at most 1.

    What is averaged over a bin cannot be seen: scores too high and too low of like size cancel there.

    Args:
        right: which of n answers are right.
        scores: the probability of each answer.
        weights: what each row counts for, shape (r, n).

    Returns:
        NaN where no row counts.
    """
    bins = equal_bins(scores)
    mass, squares = weights @ bins, weights**2 @ bins
    share = ratio(weights @ (bins * right[:, np.newaxis]), mass)
    score = ratio(weights @ (bins * scores[:, np.newaxis]), mass)
    seen = np.abs(share - score)
    # As many rows without weights would say as much (L. Kish, Survey Sampling, 1965).
    deviation = np.sqrt(ratio(share * (1 - share) * squares, mass**2))
    by_chance = _mean_distance(seen, deviation) - seen
    total = mass.sum(axis=1)
    errors = ratio((mass * (seen - by_chance)).sum(axis=1), total, np.nan)
    return np.maximum(errors, 0.0)


def calibration_error(right: NDArray[np.bool_], scores: Floats, row_weights: Floats | None = None) -> float:
    """The error of n answers; NaN where there is no row.

    Args:
        row_weights: what each row counts for, shape (n,); default 1.
    """
    weights = np.ones(len(scores)) if row_weights is None else row_weights
    return float(calibration_errors(right, scores, weights[np.newaxis])[0])


def equal_bins(scores: Floats) -> Floats:
    """Zeros and ones, shape (n, bins): the bin of each row, by its place in the order of scores.

    Bins have as many rows each as equal scores allow, which are in one bin.
    """
    rows = len(scores)
    count = max(1, min(MOST_BINS, rows // ROWS_OF_A_BIN))
    starts = np.arange(1, count) * rows // count
    edges = np.unique(np.sort(scores)[starts])
    of_each = np.searchsorted(edges, scores, side="right")
    bins: Floats = (of_each[:, np.newaxis] == np.arange(len(edges) + 1)).astype(np.float64)
    return bins


def _mean_distance(distance: Floats, deviation: Floats) -> Floats:
    """Mean of |x| where x is normal with this mean and deviation (the folded normal distribution)."""
    from scipy.special import erf  # slow, and most who read decisions compute none

    ratio_of_both = ratio(distance, deviation, np.inf)
    near = deviation * np.sqrt(2 / np.pi) * np.exp(-(ratio_of_both**2) / 2)
    means: Floats = near + distance * erf(ratio_of_both / np.sqrt(2))
    return means
