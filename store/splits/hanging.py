"""Which rows of the history table hang together with others, by ids, groups and contents, however far."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from store.feedback.rows import NO_KEY
from store.history.reading import HistoryReader
from store.splits.records import ToldBy

Keys = NDArray[np.int64]
KINDS = ("ids", "contents", "groups")
_MOST_ROUNDS = 20
_CONTENTS: Mapping[ToldBy, str] = {
    "content": "contents",
    "content_without_id": f"CASE WHEN ids = {NO_KEY} THEN contents ELSE {NO_KEY} END",
    "neither": str(NO_KEY),
}


def keyed(which: str, by: ToldBy, columns: str, lines: str = "lines") -> str:
    """SQL of lines of a table with the keys by which they hang together, beside other columns."""
    return f"SELECT {columns}, ids, groups, {_CONTENTS[by]} AS contents FROM {lines} WHERE {which}"


def hanging_together(
    reader: HistoryReader, rows: str, by: ToldBy, columns: str, keys: Mapping[str, Keys], near: str | None
) -> pa.Table | None:
    """All rows that have one of some keys, or a key of such a row, and so on; None: that leads too far.

    Args:
        rows: SQL of the lines among which they are.
        columns: SQL of what is asked for of each.
        keys: `keys_of` rows that there are already.
        near: a table of all lines with one of these keys, where there is one.
    """
    known, lines = dict(keys), near or "lines"
    for _ in range(_MOST_ROUNDS):
        has = [
            f"{kind} IN (SELECT {kind} FROM {reader.given({kind: values})})"
            for kind, values in known.items()
            if len(values)
        ]
        found = reader.arrow(
            f"SELECT * FROM ({keyed(rows, by, columns, lines)}) WHERE {' OR '.join(has) or 'false'}"
        )
        more = {kind: np.union1d(values, keys_of(found)[kind]) for kind, values in known.items()}
        if all(len(more[kind]) == len(known[kind]) for kind in known):
            return found
        # Those of keys that are new are not in the table near.
        lines = reader.sharing(more, near) if near is not None else lines
        known = more
    return None


def keys_of(rows: pa.Table) -> dict[str, Keys]:
    """The keys that rows have, by kind."""
    found = {kind: np.unique(rows[kind].to_numpy()) for kind in KINDS}
    return {kind: values[values != NO_KEY] for kind, values in found.items()}
