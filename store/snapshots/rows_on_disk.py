"""Rows of a snapshot in a file of their own, in the order of time: written once, read as often as asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.records.rows import RowBatch, rows_at_once
from store.errors import SnapshotError
from store.history.layout import Layout, objects, times_of

CODEC = "lz4"
OWN = ("seq", "label", "time")


class RowsOnDisk:
    """Rows of a file, batch by batch (a `RowSource`); of them only their numbers are in memory.

    Args:
        path: of the file; it has to be there for as long as this is used.
        layout: of the table that the rows come from.
        seq: their numbers, in the order of the file.
    """

    def __init__(self, path: Path, layout: Layout, seq: NDArray[np.int64]) -> None:
        self.path = path
        self.seq = seq
        self._layout = layout

    @classmethod
    def write(cls, path: Path, layout: Layout, tables: Iterable[pa.Table]) -> RowsOnDisk:
        """Make the file of lines of the history table, oldest first.

        Raises:
            SnapshotError: the file cannot be written.
        """
        names = [*OWN, *layout.columns.values()]
        schema = pa.schema([_with_dictionary(layout.schema.field(name)) for name in names])
        numbers = [np.array([], dtype=np.int64)]
        most = rows_at_once(layout.record)
        options = pa.ipc.IpcWriteOptions(compression=CODEC)
        with (
            _told(f"rows to learn from cannot be written to {path}"),
            pa.OSFile(str(path), "wb") as file,
            pa.ipc.new_stream(file, schema, options=options) as writer,
        ):
            for table in tables:
                numbers.append(table["seq"].to_numpy().copy())  # a view would keep the whole table
                for batch in table.select(names).cast(schema).combine_chunks().to_batches(most):
                    writer.write_batch(batch)
        return cls(path, layout, np.concatenate(numbers))

    def __len__(self) -> int:
        return len(self.seq)

    def __iter__(self) -> Iterator[RowBatch]:
        # Not mapped: of a file that is cut off meanwhile, or a disk that fails, the process would be killed.
        with (
            _told(f"rows to learn from cannot be read from {self.path}"),
            pa.OSFile(str(self.path)) as file,
            pa.ipc.open_stream(file) as reader,
        ):
            for batch in reader:
                table = pa.Table.from_batches([batch])
                yield RowBatch(
                    self._layout.fields_of(table),
                    objects(table["label"]),
                    table["seq"].to_numpy(),
                    times_of(table["time"]),
                )


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise SnapshotError(f"{what}: {error}") from error


def _with_dictionary(field: pa.Field) -> pa.Field:
    """Each text once a batch."""
    return field.with_type(pa.dictionary(pa.int32(), pa.string())) if field.type == pa.string() else field
