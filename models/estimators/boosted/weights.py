"""What the rows of a class count for."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.estimators.arrays import Targets

ClassWeights = Literal["equal", "balanced", "sqrt_balanced"]


def class_weights(y: Targets, rule: ClassWeights) -> NDArray[np.float64]:
    """A weight for each row."""
    _, place, counts = np.unique(y, return_inverse=True, return_counts=True)
    balanced = len(y) / (len(counts) * counts)
    by_class = {"equal": np.ones(len(counts)), "balanced": balanced, "sqrt_balanced": np.sqrt(balanced)}
    return by_class[rule][place]
