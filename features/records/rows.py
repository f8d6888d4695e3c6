"""Labelled rows that are gone through batch by batch, as often as is wanted: no more is held than a batch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from configs.schema import RecordConfig
from features.records.contract import Columns, take

MOST_ROWS = 65_536
"""Rows of a batch."""
BATCH_BYTES = 2**28
"""Of a batch that is read from a file: of large pictures that is fewer rows."""
STORED_BYTES = 2**26
"""Of rows that are read from the database: their text, and what is made of it, take five times as much."""
TEXT_BYTES, CATEGORY_BYTES = 500, 64
"""Bytes that are supposed of a text that nobody has seen, and of a category with the rest of its row."""


@dataclass(frozen=True)
class RowBatch:
    """Labelled rows, oldest first."""

    columns: Columns
    """Field name to n values."""
    labels: NDArray[np.object_]
    """The text of each row's label; joined ones where a row may have several."""
    seq: NDArray[np.int64]
    """Number of each row's arrival."""
    time: NDArray[np.datetime64]

    def __len__(self) -> int:
        return len(self.seq)

    def take(self, index: NDArray[Any] | slice) -> RowBatch:
        """The rows that positions, a mask or a slice select."""
        return RowBatch(take(self.columns, index), self.labels[index], self.seq[index], self.time[index])


@runtime_checkable
class RowSource(Protocol):
    """Labelled rows of which a batch at a time is in hand.

    Each iteration begins anew, and gives the same rows in the same order (that of time, the oldest first) in
    batches of at most `MOST_ROWS`, none of which is changed by who gets it. Where the batches end may differ
    from one iteration to the next; no result depends on it.
    """

    def __len__(self) -> int:
        """How many rows there are, known without going through them."""
        ...

    @property
    def seq(self) -> NDArray[np.int64]:
        """Number of each row's arrival, shape (n,), known without going through them."""
        ...

    def __iter__(self) -> Iterator[RowBatch]:
        """From the first row on."""
        ...


class RowsInMemory:
    """Rows that are all there, as a source of batches; columns are shared, not copied.

    >>> rows = RowBatch({"a": np.arange(5.0)}, np.array(list("xyxyx"), object), np.arange(5), np.arange(5))
    >>> [len(batch) for batch in RowsInMemory(rows, most=2)]
    [2, 2, 1]
    """

    def __init__(self, rows: RowBatch, *, most: int = MOST_ROWS) -> None:
        self.whole = rows
        self._most = most

    def __len__(self) -> int:
        return len(self.whole)

    @property
    def seq(self) -> NDArray[np.int64]:
        """Of each row."""
        return self.whole.seq

    def __iter__(self) -> Iterator[RowBatch]:
        for start in range(0, len(self.whole), self._most):
            yield self.whole.take(slice(start, start + self._most))


def rows_at_once(record: RecordConfig) -> int:
    """Rows of a batch that is read from a file."""
    return max(1, min(MOST_ROWS, BATCH_BYTES // max(1, record_bytes(record))))


def stored_rows_at_once(record: RecordConfig, most: int) -> int:
    """Rows that are read from the database at once: `most`, or fewer of wide ones."""
    return max(1, min(most, STORED_BYTES // max(1, record_bytes(record))))


def record_bytes(record: RecordConfig) -> int:
    """Bytes of a record in memory, by its fields alone; of texts nobody knows."""
    told = {"text": TEXT_BYTES, "category": CATEGORY_BYTES}
    return sum(
        math.prod(field.shape or ()) if field.type == "image" else told.get(field.type, 8)
        for field in record.fields
    )
