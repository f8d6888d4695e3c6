"""The arrays that metrics are made of, and shares of which some are not defined."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Truth = NDArray[np.int64]
Probabilities = NDArray[np.float32]


def ratio(part: Floats, whole: NDArray[np.generic], empty: float | Floats = 0.0) -> Floats:
    """Part by whole, and `empty` where the whole is 0."""
    out = np.broadcast_to(np.asarray(empty, dtype=np.float64), np.shape(part)).copy()
    shares: Floats = np.divide(part, whole, out=out, where=np.asarray(whole) > 0)
    return shares


def mean_where(values: Floats, counted: NDArray[np.bool_]) -> Floats:
    """Mean along rows of the values that count; NaN where none does."""
    return ratio((values * counted).sum(axis=1), counted.sum(axis=1), np.nan)
