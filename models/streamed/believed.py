"""Which rows of a source a model learns from, found by going through them: as of all rows at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.encoders.contract import Doubting, Encoder
from features.encoders.tabular import are_few
from features.records.contract import Columns
from features.records.rows import RowSource
from models.estimators.arrays import Targets
from models.versions.fit_checks import MOST_OF_CLASS, FitRows

ToTargets = Callable[[NDArray[np.object_]], Targets]


@dataclass(frozen=True)
class BelievedRows:
    """Says of each batch which of its rows are learned from, and counts the others."""

    encoder: Encoder
    few: NDArray[np.bool_] | None
    """Of which numbers those beyond the outer bounds cannot be meant; None: nothing is doubted."""
    told: NDArray[np.bool_]
    """Classes that are told by being far away: their rows stay."""
    outliers: int
    absurd: int
    classes: NDArray[np.int64]
    """Rows of each class that are learned from."""

    @property
    def counted(self) -> FitRows:
        """How many rows were left out, and why."""
        return FitRows(np.ones(0, dtype=np.bool_), self.outliers, self.absurd)

    def choose(self, columns: Columns, targets: Targets) -> NDArray[np.bool_]:
        """Which of n rows are learned from."""
        chosen = self.encoder.fit_rows(columns)
        if self.few is not None:
            chosen &= ~(_absurd(self.encoder, columns, self.few) & ~self.told[targets])
        return chosen


def believed_rows(encoder: Encoder, rows: RowSource, to_targets: ToTargets, n_classes: int) -> BelievedRows:
    """Look at the rows twice where some number is doubted, once where none is.

    Args:
        to_targets: labels to class numbers.
        n_classes: how many classes there are.
    """
    beyond: NDArray[np.int64] | None = None
    inliers, count = np.zeros(n_classes, dtype=np.int64), 0
    for batch in rows:
        kept = encoder.fit_rows(batch.columns)
        inliers += np.bincount(to_targets(batch.labels)[kept], minlength=n_classes)
        count += len(batch)
        if isinstance(encoder, Doubting):
            found = encoder.beyond(batch.columns).sum(axis=0)
            beyond = found if beyond is None else beyond + found
    nobody = np.zeros(n_classes, dtype=np.bool_)
    outliers = count - int(inliers.sum())
    few = None if beyond is None else are_few(beyond, count)
    if beyond is None or few is None or not beyond[few].any():
        return BelievedRows(encoder, None, nobody, outliers, 0, inliers)
    members, absurd = np.zeros(n_classes, dtype=np.int64), np.zeros(n_classes, dtype=np.int64)
    for batch in rows:
        targets = to_targets(batch.labels)
        wrong = _absurd(encoder, batch.columns, few) & encoder.fit_rows(batch.columns)
        members += np.bincount(targets, minlength=n_classes)
        absurd += np.bincount(targets[wrong], minlength=n_classes)
    told = absurd > MOST_OF_CLASS * members
    left_out = np.where(told, 0, absurd)
    return BelievedRows(encoder, few, told, outliers, int(left_out.sum()), inliers - left_out)


def _absurd(encoder: Encoder, columns: Columns, few: NDArray[np.bool_]) -> NDArray[np.bool_]:
    assert isinstance(encoder, Doubting)
    return np.asarray((encoder.beyond(columns) & few).any(axis=1))
