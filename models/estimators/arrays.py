"""What estimators are given: encoded rows, and the classes of each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]
"""Encoded rows, n first."""
Targets = NDArray[np.int64]
"""Class indices (n,), or zeros and ones (n, n_classes) where a row may have several labels."""
