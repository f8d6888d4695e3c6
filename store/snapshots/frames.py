"""Rows of a snapshot in memory, and split as they are used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.records.contract import Columns, take
from features.records.rows import RowBatch, RowsInMemory, RowSource
from store.snapshots.uses import HOLDOUT, TRAIN, Split


@dataclass(frozen=True)
class Newest:
    """Rows at the end of time: so many, and those of a span before the newest."""

    rows: int = 0
    span: timedelta | None = None


@dataclass(frozen=True)
class Frame:
    """Rows of a snapshot, oldest first."""

    columns: Columns
    labels: NDArray[np.object_]
    identities: NDArray[np.object_]
    seq: NDArray[np.int64]
    time: NDArray[np.datetime64]
    split: Split

    def __len__(self) -> int:
        return len(self.seq)

    @property
    def train(self) -> Frame:
        """Rows to learn from."""
        return self.take(np.flatnonzero(self.split == TRAIN))

    @property
    def holdout(self) -> Frame:
        """Rows to judge on."""
        return self.take(np.flatnonzero(self.split == HOLDOUT))

    @property
    def rows(self) -> RowSource:
        """All of them as batches."""
        return RowsInMemory(RowBatch(self.columns, self.labels, self.seq, self.time))

    def used(self, use: str | None) -> Frame:
        """Rows that are used so; None: all."""
        return self if use is None else self.take(np.flatnonzero(self.split == use))

    def with_newest(self, newest: Newest | None) -> Frame:
        """The rows, and of those to learn from only the newest; None: all."""
        places = np.flatnonzero(self.split == TRAIN)
        if newest is None or newest.rows >= len(places):
            return self
        kept = np.arange(len(places)) >= len(places) - newest.rows
        if newest.span is not None:
            kept |= self.time[places] > self.time[places].max() - np.timedelta64(newest.span)
        return self.take(np.setdiff1d(np.arange(len(self)), places[~kept]))

    def take(self, index: NDArray[Any]) -> Frame:
        """The rows at these positions."""
        return Frame(
            take(self.columns, index),
            self.labels[index],
            self.identities[index],
            self.seq[index],
            self.time[index],
            self.split[index],
        )


@dataclass(frozen=True)
class SplitRows:
    """Rows of a snapshot as a retrain takes them."""

    learn: RowSource
    """Those to learn from: in memory, or on disk where there are many."""
    beside: Frame
    """Those held out, and those that are not used."""

    @property
    def holdout(self) -> Frame:
        """Rows to judge on."""
        return self.beside.holdout

    @classmethod
    def of(cls, frame: Frame) -> SplitRows:
        """Rows that are all in memory."""
        return cls(frame.train.rows, frame.take(np.flatnonzero(frame.split != TRAIN)))
