"""Encoded rows as XGBoost asks for them: one part after the other, as often as it begins anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import TrainingStopped
from models.estimators.arrays import EncodedRows, each_part
from models.estimators.fit_watch import Watch

LEARNED = "learned"
"""The training rows, as XGBoost calls them where it tells of its loss."""


class RowsForXgboost:
    """What its data are made of.

    Args:
        weights: of a row of each class; None: all are 1.
        types: of each column, `c` or `q`; None: all are quantities.
        cache: beginning of the names of files in which bins are kept; None: in memory.
        watch: asked before each part whether to go on.
    """

    def __init__(
        self,
        rows: EncodedRows,
        *,
        weights: NDArray[np.float32] | None,
        types: Sequence[str] | None,
        cache: str | None,
        watch: Watch,
    ) -> None:
        from xgboost import DataIter

        self._stopped = False
        found = self

        class Parts(DataIter):
            place = 0

            def __init__(self) -> None:
                super().__init__(cache_prefix=cache, release_data=True)

            def next(self, input_data: Any) -> bool:
                if self.place >= rows.parts or found.is_stopped_by(watch):
                    return False
                x, y = rows.part(self.place)
                self.place += 1
                heavy = {} if weights is None else {"weight": weights[y]}
                input_data(data=x, label=y, feature_types=types, **heavy)
                return True

            def reset(self) -> None:
                self.place = 0

        self.iterator = Parts()

    def is_stopped_by(self, watch: Watch) -> bool:
        """Whether the watch asks to stop; it is remembered, as nothing can be raised through XGBoost."""
        self._stopped = self._stopped or watch.should_stop()
        return self._stopped

    @contextmanager
    def raising(self) -> Iterator[None]:
        """Within it, what was stopped ends by `TrainingStopped`, whatever XGBoost makes of it."""
        try:
            yield
        except Exception as error:
            if self._stopped:
                raise TrainingStopped from error
            raise
        if self._stopped:
            raise TrainingStopped


def losses_of(log: Mapping[str, Mapping[str, Any]]) -> list[float]:
    """Loss of the training rows after each round."""
    [values] = log[LEARNED].values()
    return [float(value) for value in values]


def find_missing(rows: EncodedRows) -> NDArray[np.bool_]:
    """Columns (features,) in which some value is missing."""
    missing = np.zeros(rows.row_shape, dtype=np.bool_)
    for x, _ in each_part(rows):
        missing |= np.isnan(x).any(axis=0)
    return missing
