"""Lines of rows that a snapshot does not learn from, kept beside it: the next one looks at them again.

They lie anywhere in the history table, where a few rows here and there take nearly as long to read as all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import psycopg
import pyarrow as pa

from store.history.batches import Numbers
from store.history.layout import OWN_COLUMNS
from store.history.reading import HistoryReader

MOST_LINES = 50_000
"""More are not kept: they are read from the table each time."""
_COLUMNS = ", ".join(name for name, _ in OWN_COLUMNS)


def packed_lines(reader: HistoryReader, lines: str, seq: Numbers) -> bytes | None:
    """All lines of some rows, to be kept; None: they are too many.

    Args:
        lines: name of a table that has them.
    """
    if len(seq) > MOST_LINES:
        return None
    named = reader.given({"seq": seq})
    found = reader.arrow(f"SELECT {_COLUMNS} FROM {lines} WHERE seq IN (SELECT seq FROM {named})")
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, found.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
        stream.write_table(found)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


def unpacked_lines(packed: bytes) -> pa.Table:
    """What `packed_lines` was given, without what has become of them since."""
    with pa.ipc.open_stream(packed) as stream:
        lines: pa.Table = stream.read_all()
    return lines


def read_lines(conn: psycopg.Connection[Any], digest: str) -> pa.Table | None:
    """Lines that are kept of a snapshot; None: there are none, or newer ones are kept."""
    row = conn.execute("SELECT kept_lines FROM snapshot WHERE digest = %s", (digest,)).fetchone()
    return None if row is None or row[0] is None else unpacked_lines(row[0])


def note_lines(conn: psycopg.Connection[Any], use_case: str, digest: str, packed: bytes | None) -> None:
    """Keep lines of the newest snapshot, and of no other. The caller commits."""
    conn.execute(
        "UPDATE snapshot SET kept_lines = NULL WHERE use_case = %s AND digest <> %s"
        " AND kept_lines IS NOT NULL",
        (use_case, digest),
    )
    conn.execute("UPDATE snapshot SET kept_lines = %s WHERE digest = %s", (packed, digest))


def seq_of(lines: pa.Table | None) -> Numbers:
    """Rows of which all lines are kept."""
    return np.unique(np.array([], dtype=np.int64) if lines is None else lines["seq"].to_numpy())
