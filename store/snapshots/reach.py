"""Up to where snapshots have read the feedback, so that rows count as new that were on their way then."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from store.history.batches import told_since
from store.snapshots.index import Snapshot, find_snapshot, read_numbers


@dataclass(frozen=True)
class Reach:
    """All rows that arrived up to `last` were read, save for those that were late.

    A row has its number when it is written, and others see it when its transaction ends: a long one ends
    after rows with higher numbers have been read.
    """

    last: int
    late: frozenset[int] = frozenset()
    """Numbers up to `last` of rows that have come to light since."""

    def is_beyond(self, seq: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of n rows were not read, shape (n,)."""
        return (seq > self.last) | np.isin(seq, list(self.late))

    def __or__(self, other: Reach) -> Reach:
        """What either has read."""
        lower, higher = sorted((self, other), key=lambda reach: reach.last)
        return Reach(higher.last, frozenset(s for s in higher.late if s > lower.last or s in lower.late))


def find_reach(conn: psycopg.Connection[Any], digests: Iterable[str]) -> Reach | None:
    """Up to where the snapshots with these digests have read, all together; None: there is none.

    Raises:
        SnapshotError: one is not known here.
    """
    reaches = [_find(conn, digest) for digest in digests]
    return reduce(Reach.__or__, reaches) if reaches else None


def reach_at(
    conn: psycopg.Connection[Any], use_case: str, moment: datetime, last: int | None = None
) -> Reach | None:
    """What had arrived, or been corrected last, by a moment; None: nothing had.

    Args:
        last: the number of the newest label then, 0 where there was none; None: nobody knows, and it is told
            by the times at which labels arrived, among which a clock may have been set back.
    """
    if last is None:
        row = conn.execute(
            "SELECT coalesce(max(seq), 0) FROM feedback WHERE use_case = %s AND received_at <= %s",
            (use_case, moment),
        ).fetchone()
        assert row is not None
        last = int(row[0])
    if not last:
        return None
    later = conn.execute(
        "SELECT seq FROM feedback WHERE use_case = %s AND seq < %s AND received_at > %s",
        (use_case, last, moment),
    ).fetchall()
    return Reach(last, frozenset(seq for (seq,) in later))


def _find(conn: psycopg.Connection[Any], digest: str) -> Reach:
    snapshot = find_snapshot(conn, digest)
    if snapshot.settled_at is None:
        return Reach(snapshot.last_seq)
    # What was written before the oldest transaction that was open then had been seen. The times are values,
    # not those of a join, so that the planner knows how few rows came after.
    rows = conn.execute(
        "SELECT seq FROM feedback WHERE use_case = %s AND received_at >= %s AND seq <= %s",
        (snapshot.use_case, snapshot.settled_at, snapshot.last_seq),
    ).fetchall()
    known = _seen(conn, snapshot, snapshot.settled_at) if rows else None
    if known is None:
        return Reach(snapshot.last_seq)
    came = np.array([seq for (seq,) in rows], dtype=np.int64)
    return Reach(snapshot.last_seq, frozenset(came[~np.isin(came, known)].tolist()))


def _seen(
    conn: psycopg.Connection[Any], snapshot: Snapshot, settled_at: datetime
) -> NDArray[np.int64] | None:
    """Rows that had been read, at least those that arrived since the snapshot was settled; None: unknown."""
    if snapshot.rule is None:
        return read_numbers(conn, snapshot.digest)
    return told_since(conn, snapshot.use_case, "rows", settled_at, until=snapshot.rule.batch)
