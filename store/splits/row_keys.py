"""Rows by what tells records apart, without their fields: all of a long history fit into memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from store.feedback.rows import FeedbackRows
from store.history.draws import Shares
from store.history.layout import objects
from store.history.reading import HistoryReader


def read_row_keys(
    reader: HistoryReader, lines: str, which: str, *, known: str
) -> tuple[FeedbackRows, Shares, NDArray[np.bool_]]:
    """Lines of a table as rows without their fields, their shares, and of which SQL says that they are known.

    Those have no identity: identities are the most of a long history in memory.

    Args:
        which: SQL of the lines.
        known: SQL of those that nobody asks about by their identities.
    """
    found = reader.arrow(
        f"SELECT * REPLACE (CASE WHEN known THEN '' ELSE identity END AS identity) FROM ("
        "SELECT seq, identity, ids, contents, groups, share, label, time,"
        f" {known} AS known FROM {lines} WHERE {which}) ORDER BY time, seq"
    )
    rows = FeedbackRows(
        {},
        objects(found["label"]),
        objects(found["identity"]),
        found["seq"].to_numpy(),
        found["time"].to_numpy(),
        *(found[key].to_numpy() for key in ("ids", "contents", "groups")),
    )
    return rows, found["share"].to_numpy(), found["known"].to_numpy()
