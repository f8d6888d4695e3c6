"""What a bet against a version has come to: evidence that may be looked at after every label.

A gambler stakes a part of what he has on each row: he gains where the version before did better and loses
where the new one did. If the new version is no worse, no way of staking makes him rich: that he ever has
`1 / level` times what he began with has a chance of `level` at most, however often and whenever it is looked
(J. Ville, "Étude critique de la notion de collectif", 1939; for bounded differences I. Waudby-Smith and
A. Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86, 2024; for two forecasters
Y. J. Choe and A. Ramdas, "Comparing sequential forecasters", Operations Research 72, 2024).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

STAKES = np.array([0.1, 0.2, 0.4, 0.6, 0.8])
"""Parts that are staked, side by side, by gamblers who begin with the same: what is best depends on how often
the two differ and how much worse the new one is, which nobody knows before."""

Differences = NDArray[np.float64]


def log_wealth(differences: Differences) -> float:
    """Logarithm of what all gamblers together have, over what they began with.

    Args:
        differences: by how much the version before did better on each of n rows, shape (n,), -1 to 1.
    """
    of_each = _of_each(differences)
    most = float(of_each.max())
    return most + math.log(float(np.exp(of_each - most).mean()))


def rows_to_go(differences: Differences, line: float) -> int | None:
    """Rows like these n until the logarithm of the wealth comes to a line; None: it does not grow.

    Args:
        differences: as in `log_wealth`.
        line: logarithm.
    """
    if not len(differences):
        return None
    of_each = _of_each(differences)
    growth = float(of_each.max()) / len(differences)
    if growth <= 0:
        return None
    return max(0, math.ceil((line - log_wealth(differences)) / growth))


def _of_each(differences: Differences) -> NDArray[np.float64]:
    """Logarithm of what each gambler has, shape (stakes,)."""
    logarithms: NDArray[np.float64] = np.log1p(STAKES[:, None] * differences[None, :]).sum(axis=1)
    return logarithms
