"""Whether what a model answers are probabilities, asked wherever answers are taken: after a fit, when a
version is loaded, and of each batch that is answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

OFF = 1e-3
"""How far a probability may be below 0 or above 1, and the sum of a row from 1, by rounding."""
FEW = 64
"""Numbers that are looked at one by one sooner than as an array."""
NO_NUMBERS = "its answers are no numbers"


def probabilities_problem(answers: Any, rows: int, classes: int, *, one_class: bool) -> str | None:
    """What is wrong with answers to so many rows, with figures; None: nothing.

    Args:
        answers: 32-bit floats (rows, classes) between 0 and 1, as they should be.
        rows: how many were asked about.
        classes: how many there are.
        one_class: each row has one class, so its probabilities sum to 1.

    >>> probabilities_problem(np.array([[0.4, 0.6], [0.9, 0.3]]), 2, 2, one_class=True)
    'the probabilities of a row sum to 1.2; allowed: 1'
    """
    if not isinstance(answers, np.ndarray):
        return f"its answers are of type {type(answers).__name__}; allowed: an array of numbers"
    if answers.shape != (rows, classes) or answers.dtype.kind != "f":
        came = f"its answers are {answers.dtype} of shape {_shape(answers.shape)}"
        return f"{came}; allowed: floats ({rows}, {classes}), one for each class of each record"
    if not rows or (answers.size <= FEW and _are_plain(answers, one_class=one_class)):
        return None
    low, high = answers.min(), answers.max()
    if not (low >= -OFF and high <= 1 + OFF):  # what is no number is neither
        if not np.isfinite(answers).all():
            return NO_NUMBERS
        return f"its answers lie between {low:.4g} and {high:.4g}; allowed: probabilities, 0 to 1"
    if one_class:
        sums = answers.sum(axis=1)
        least, most = sums.min(), sums.max()
        if least < 1 - OFF or most > 1 + OFF:
            told = most if most - 1 >= 1 - least else least
            return f"the probabilities of a row sum to {told:.4g}; allowed: 1"
    return None


def _are_plain(answers: NDArray[Any], *, one_class: bool) -> bool:
    """Whether few answers are probabilities: what the arrays say below, for less than one call of theirs."""
    for row in answers.tolist():
        total = sum(row)
        if not (min(row) >= -OFF and max(row) <= 1 + OFF and total == total):  # NaN makes the sum so
            return False
        if one_class and not 1 - OFF <= total <= 1 + OFF:
            return False
    return True


def _shape(shape: Sequence[int]) -> str:
    return f"({', '.join(map(str, shape))})"
