"""Rows go for good that nothing refers to any more: what else their batches hold is written again.

A condition that names tens of thousands of rows ends the process that hands it to Delta: its parser goes as
deep as the condition is long. So only batches are named there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from features.records.rows import rows_at_once
from store.history.batches import Numbers
from store.history.kinds import GONE
from store.history.reading import HistoryReader
from store.history.table import HistoryTable

_MOST_BATCHES = 500
_MOST_ROWS = 250_000
"""Of rows that are named at once; the last batch may have more."""


def forget_rows(table: HistoryTable, gone: Mapping[int, Numbers], *, folder: Path | None = None) -> None:
    """Delete rows, each by its number and the batch that it came with; news of what has gone stay.

    Args:
        folder: where what does not fit into memory goes; default that of the system.

    Raises:
        HistoryError: the table cannot be read or written; `HistoryBusy` where another process has changed it
            meanwhile. What has been deleted until then stays so.
    """
    for some in _groups(gone):
        table.put_in_place(sorted(some), partial(_kept, table, some, folder))


def _groups(gone: Mapping[int, Numbers]) -> Iterator[dict[int, Numbers]]:
    """As many batches as are written again at once."""
    group: dict[int, Numbers] = {}
    for batch in sorted(gone):
        group[batch] = gone[batch]
        if len(group) == _MOST_BATCHES or sum(map(len, group.values())) >= _MOST_ROWS:
            yield group
            group = {}
    if group:
        yield group


@contextmanager
def _kept(
    table: HistoryTable, gone: Mapping[int, Numbers], folder: Path | None
) -> Iterator[Iterator[pa.RecordBatch]]:
    """All other lines of these batches."""
    schema = table.layout.schema
    columns = ", ".join(f'"{name}"' for name in schema.names)
    batches = np.array(sorted(gone), dtype=np.int64)
    rows = {
        "batch": np.repeat(batches, [len(gone[int(one)]) for one in batches]),
        "seq": np.concatenate([gone[int(one)] for one in batches]),
    }
    with HistoryReader(table, folder=folder) as reader:
        named, written = reader.given(rows), reader.given({"batch": batches})
        lines = (
            f"SELECT {columns} FROM stored WHERE batch IN (SELECT batch FROM {written})"
            f" AND (kind = '{GONE}' OR (batch, seq) NOT IN (SELECT (batch, seq) FROM {named}))"
        )
        parts = reader.batches(lines, rows=rows_at_once(table.layout.record))
        yield (one for part in parts for one in pa.Table.from_batches([part]).cast(schema).to_batches())
