"""Snapshots by digest, to draw rows from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import psycopg

from configs.schema import UseCase
from store.samples.chance import Numbers
from store.samples.rows import FrameRows, RowsToDraw, TableRows
from store.snapshots.index import find_snapshot
from store.snapshots.restoring import made_good, open_snapshot, snapshot_rows

T = TypeVar("T")


def open_to_draw(
    conn: psycopg.Connection[Any],
    use_case: UseCase,
    home: Path,
    digest: str,
    *,
    without: Numbers | None = None,
) -> RowsToDraw:
    """The rows of a snapshot, proven to be as they were; what is damaged or gone is made anew.

    Args:
        without: rows that are not to be looked at.

    Raises:
        SnapshotError: there is no such snapshot, or it is damaged and cannot be made again.
    """
    unseen = np.array([], dtype=np.int64) if without is None else np.unique(without)
    snapshot = find_snapshot(conn, digest)
    if snapshot.rule is None:
        frame = open_snapshot(conn, use_case, home, digest)
        return FrameRows(frame.take(np.flatnonzero(~np.isin(frame.seq, unseen))))
    rows = snapshot_rows(conn, use_case, home, snapshot)

    def read_anew(read: Callable[[], T]) -> T:
        return made_good(conn, rows, read)

    return TableRows(rows, unseen, read_anew)
