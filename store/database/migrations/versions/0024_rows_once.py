"""Rows that a clock that was set back has had added to the history again stand there once.

Snapshots that were taken since hold them as often as the table had them, and stay what they are: the next
batch ends each line of such a row, and adds the row once.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from alembic import op
from numpy.typing import NDArray
from sqlalchemy import text

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

Numbers = NDArray[np.int64]
# Until the clock has caught up, rows that are ahead of it would be added again by the next batch as well: they
# are added with the others, by a batch that is no earlier than they are.
AHEAD = text("SELECT seq FROM feedback WHERE use_case = :use_case AND received_at > clock_timestamp() AND seq <= :last")
MEND = text("""
    INSERT INTO history_batch
        (use_case, batch, rows, superseded, gone, changes, last_seq, settled_at, last_change, at)
    SELECT use_case, batch + 1, :again, :none, :again, :none, last_seq, settled_at, last_change,
        greatest(clock_timestamp(), (SELECT max(received_at) FROM feedback WHERE use_case = :use_case AND seq = ANY(:rows)))
    FROM history_batch WHERE use_case = :use_case ORDER BY batch DESC LIMIT 1""")


def upgrade() -> None:
    bind = op.get_bind()
    for (use_case,) in bind.execute(text("SELECT DISTINCT use_case FROM history_batch")).all():
        named = {"use_case": use_case}
        bind.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('history:' || :use_case, 0))"), named)
        told = bind.execute(
            text("SELECT rows, gone, last_seq FROM history_batch WHERE use_case = :use_case ORDER BY batch"), named
        ).all()
        lines = [(unpack(rows), unpack(gone)) for rows, gone, _ in told]
        ahead = [seq for (seq,) in bind.execute(AHEAD, {**named, "last": told[-1][2]})]
        again = np.union1d(standing_twice(lines), held(lines, np.array(sorted(ahead), dtype=np.int64)))
        if len(again):
            packed = {"again": pack(again), "none": pack(again[:0])}
            bind.execute(MEND, {**named, **packed, "rows": again.tolist()})


def downgrade() -> None:
    """What was mended is what any release would have."""


def standing_twice(batches: list[tuple[Numbers, Numbers]]) -> Numbers:
    """Rows of which two lines or more stand, by the rows and the gone ones of each batch."""
    numbers, times = np.unique(np.concatenate([rows for rows, _ in batches]), return_counts=True)
    numbers = numbers[times > 1]
    count = np.zeros(len(numbers), dtype=np.int64)
    for rows, gone in batches:
        count[np.isin(numbers, gone)] = 0  # of lines of earlier batches
        count[np.isin(numbers, rows)] += 1
    return numbers[count > 1]


def held(batches: list[tuple[Numbers, Numbers]], numbers: Numbers) -> Numbers:
    """Those of some rows that stand."""
    stands = np.zeros(len(numbers), dtype=bool)
    for rows, gone in batches:
        stands[np.isin(numbers, gone)] = False
        stands[np.isin(numbers, rows)] = True
    return numbers[stands]


def unpack(packed: Any) -> Numbers:
    return np.cumsum(np.frombuffer(zlib.decompress(packed), "<i8")).astype(np.int64)


def pack(numbers: Numbers) -> bytes:
    return zlib.compress(np.diff(numbers, prepend=0).astype("<i8").tobytes())
