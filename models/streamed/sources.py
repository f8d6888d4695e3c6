"""Some of the rows of a source: the newest of a window, or those of one fit; and all of them at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from configs.times.durations import read_duration
from features.records.contract import concat
from features.records.rows import RowBatch, RowsInMemory, RowSource


class ChosenRows:
    """Rows of a source by their places.

    Args:
        rows: a source of n rows.
        chosen: which of them, shape (n,).
    """

    def __init__(self, rows: RowSource, chosen: NDArray[np.bool_]) -> None:
        self._rows = rows
        self._chosen = chosen
        self.seq = rows.seq[chosen]

    def __len__(self) -> int:
        return len(self.seq)

    def __iter__(self) -> Iterator[RowBatch]:
        start = 0
        for batch in self._rows:
            chosen = self._chosen[start : start + len(batch)]
            start += len(batch)
            if chosen.any():
                yield batch if chosen.all() else batch.take(chosen)


class NewestRows:
    """Rows of a source from a place on."""

    def __init__(self, rows: RowSource, count: int) -> None:
        self._rows = rows
        self._count = min(count, len(rows))

    def __len__(self) -> int:
        return self._count

    @property
    def seq(self) -> NDArray[np.int64]:
        """Of each row."""
        return self._rows.seq[len(self._rows) - self._count :]

    def __iter__(self) -> Iterator[RowBatch]:
        passed_by = len(self._rows) - self._count
        for batch in self._rows:
            if passed_by < len(batch):
                yield batch.take(slice(passed_by, None)) if passed_by else batch
            passed_by = max(0, passed_by - len(batch))


def newest(rows: RowSource, window: int | str | None) -> RowSource:
    """The newest rows: so many, or those of the time up to the newest of them; all where it is None."""
    if window is None:
        return rows
    if isinstance(window, int):
        return NewestRows(rows, window)
    length = np.timedelta64(read_duration(window))
    last = max((batch.time.max() for batch in rows if len(batch)), default=None)
    if last is None:
        return rows
    return NewestRows(rows, sum(int((batch.time > last - length).sum()) for batch in rows))


def gather(rows: RowSource) -> RowBatch | None:
    """All rows at once; None where there are none."""
    if isinstance(rows, RowsInMemory):
        return rows.whole if len(rows) else None
    batches = [batch for batch in rows if len(batch)]
    if not batches:
        return None
    return RowBatch(
        concat([batch.columns for batch in batches]),
        np.concatenate([batch.labels for batch in batches]),
        np.concatenate([batch.seq for batch in batches]),
        np.concatenate([batch.time for batch in batches]),
    )


def labels_of(rows: RowSource) -> list[str]:
    """The label of each row."""
    return [label for batch in rows for label in batch.labels.tolist()]


def some_of(rows: RowSource, count: int) -> RowBatch | None:
    """About so many rows, spread evenly over all; None where there are none."""
    step = max(1, len(rows) // count)
    taken, start = [], 0
    for batch in rows:
        taken.append(batch.take(slice(-start % step, None, step)))
        start += len(batch)
    kept = [batch for batch in taken if len(batch)]
    return gather(_Batches(kept)) if kept else None


class _Batches:
    """Batches that are all there."""

    def __init__(self, batches: list[RowBatch]) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return sum(map(len, self._batches))

    @property
    def seq(self) -> NDArray[np.int64]:
        return np.concatenate([batch.seq for batch in self._batches])

    def __iter__(self) -> Iterator[RowBatch]:
        return iter(self._batches)
