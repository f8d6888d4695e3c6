"""Mean and deviation of columns that come in batches, put together as Chan, Golub and LeVeque (1983) do.

The result differs from that of all rows at once by the rounding of sums only (1e-12 of it, or less).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Moments:
    """Count, mean and sum of squares of each column; what is missing is passed over."""

    def __init__(self, columns: int) -> None:
        self.count = np.zeros(columns)
        self.mean = np.zeros(columns)
        self.squares = np.zeros(columns)
        """Of the distances to the mean."""

    def add(self, values: Floats) -> None:
        """Look at rows (n, columns)."""
        present = ~np.isnan(values)
        count = present.sum(axis=0).astype(np.float64)
        mean = np.where(present, values, 0).sum(axis=0) / np.maximum(count, 1)
        distances = np.where(present, values - mean, 0)
        self.join(count, mean, np.square(distances).sum(axis=0))

    def join(self, count: Floats, mean: Floats, squares: Floats) -> None:
        """Put others of the same columns beside."""
        together = np.maximum(self.count + count, 1)
        apart = mean - self.mean
        self.mean = self.mean + apart * (count / together)
        self.squares = self.squares + squares + np.square(apart) * (self.count * count / together)
        self.count = self.count + count

    @property
    def deviation(self) -> Floats:
        """Of each column."""
        return np.asarray(np.sqrt(self.squares / np.maximum(self.count, 1)))
