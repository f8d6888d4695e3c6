"""How the rows of a snapshot are used."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TRAIN, HOLDOUT, UNUSED = "train", "holdout", "unused"
Split = NDArray[np.object_]
"""One of them for each of n rows."""
