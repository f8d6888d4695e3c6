"""Rows of a snapshot in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.records.contract import Columns, take
from store.snapshots.uses import HOLDOUT, TRAIN, Split


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

    def used(self, use: str | None) -> Frame:
        """Rows that are used so; None: all."""
        return self if use is None else self.take(np.flatnonzero(self.split == use))

    def with_newest(self, count: int | None) -> Frame:
        """The rows without those to learn from but the newest so many; None: all."""
        places = np.flatnonzero(self.split == TRAIN)
        if count is None or count >= len(places):
            return self
        return self.take(np.setdiff1d(np.arange(len(self)), places[: len(places) - count]))

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
