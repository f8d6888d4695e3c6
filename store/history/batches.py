"""Which labelled rows each batch of the table holds: the database says it, and any table can be made by it.

A batch is decided in one transaction and never changes. Rows have a number when they are written and are
seen when their transaction ends, so each batch looks again at all that may have been on its way when the one
before was decided. What became of rows since then is told by `feedback_change`, which a trigger fills.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, LiteralString

import numpy as np
import psycopg
from numpy.typing import NDArray

from configs.schema import RecordConfig
from features.records.rows import record_bytes
from store.database.activity import oldest_open_transaction
from store.database.locks import lock_transaction

Numbers = NDArray[np.int64]
NEWEST = 2**31 - 1
EVER = datetime.min.replace(tzinfo=UTC)
MOST_ROWS = 250_000
"""Of a batch; what is read at once of a history that no table holds yet."""
MOST_BYTES = 2**29
"""Of the records of a batch that is decided at once: who writes it holds three times as much in memory."""


@dataclass(frozen=True)
class Batch:
    """What is added to the table at once; rows by their numbers, in ascending order."""

    number: int
    rows: Numbers
    """Rows as they are now; some may be known by the same number from an earlier batch."""
    superseded: Numbers
    """Rows that were corrected before any batch held them."""
    gone: Numbers
    """Rows of earlier batches that are not as they were: corrected, taken back, or of another group."""
    last_seq: int
    """All rows up to this number are in this batch or an earlier one, save for those on their way."""
    decided_at: datetime


@dataclass(frozen=True)
class Mark:
    """Up to where batches have read; zeros: there is none."""

    number: int = 0
    last_seq: int = 0
    settled_at: datetime | None = None
    """All rows that had arrived before were seen."""
    last_change: int | None = 0
    """The greatest number of a change that was heard of; None: the release of the last batch did not say."""


@dataclass(frozen=True)
class _Seen:
    """What was seen of a use case at one moment."""

    fresh: Numbers
    """Rows beyond the mark, the first of them."""
    again: Numbers
    """Rows up to the mark that are to be added all the same."""
    gone: Numbers
    changes: Numbers
    """By what is known which rows are gone, and which of `again` stand in the place of others."""


# One statement sees one moment. A row that is corrected between two would be fresh by the second, and what
# the first did not tell of it would have it added again by the next batch.
_LOOK: LiteralString = """
    WITH changes AS MATERIALIZED (
        SELECT id, seq, now_seq FROM feedback_change
        WHERE use_case = %(use_case)s AND (at >= %(settled_at)s OR id > %(known)s) AND id <> ALL(%(heard)s)
    )
    (SELECT 'fresh', seq FROM feedback WHERE use_case = %(use_case)s AND seq > %(last)s
        ORDER BY seq LIMIT %(most)s)
    UNION ALL SELECT 'late', seq FROM feedback
        WHERE use_case = %(use_case)s AND seq <= %(last)s AND received_at >= %(settled_at)s
    UNION ALL SELECT 'standing', seq FROM feedback WHERE use_case = %(use_case)s
        AND seq = ANY(ARRAY(SELECT now_seq FROM changes WHERE now_seq <= %(last)s))
    UNION ALL SELECT 'change', id FROM changes
    UNION ALL SELECT 'changed', seq FROM changes"""


def add_batches(conn: psycopg.Connection[Any], use_case: str, record: RecordConfig) -> int:
    """Decide the batches of all rows that came, or became others, since the last one.

    Works in the caller's transaction, and holds the use case's lock until it ends.

    Args:
        record: of wide ones a batch has fewer.

    Returns:
        The number of the last batch; 0: there are no rows.
    """
    lock_transaction(conn, "history", use_case)
    mark, began = read_mark(conn, use_case), time.monotonic()
    settled_at = oldest_open_transaction(conn)
    most = max(1, min(MOST_ROWS, MOST_BYTES // record_bytes(record)))
    while True:
        known = _last_change(conn, use_case, mark)
        seen = _look(conn, use_case, mark, known, most)
        settled_at = min(settled_at, _earliest_since(conn, began))
        is_last = len(seen.fresh) < most
        until = None if is_last else int(seen.fresh[-1])
        superseded = _numbers(
            conn,
            "SELECT DISTINCT seq FROM feedback_correction WHERE use_case = %s AND seq > %s"
            " AND (%s::bigint IS NULL OR seq <= %s)",
            (use_case, mark.last_seq, until, until),
        )
        rows = np.union1d(seen.fresh, seen.again)
        if not len(rows) and not len(superseded) and not len(seen.gone):
            return mark.number
        last = max(mark.last_seq, *(int(part.max(initial=0)) for part in (seen.fresh, superseded)))
        mark = Mark(mark.number + 1, last, settled_at, max(known, int(seen.changes.max(initial=0))))
        _note(conn, use_case, mark, rows, np.setdiff1d(superseded, rows), seen.gone, seen.changes)
        if is_last:
            return mark.number


def read_batches(conn: psycopg.Connection[Any], use_case: str, after: int = 0) -> Iterable[Batch]:
    """The batches after a number, one at a time."""
    numbers = conn.execute(
        "SELECT batch FROM history_batch WHERE use_case = %s AND batch > %s ORDER BY batch", (use_case, after)
    ).fetchall()
    for (number,) in numbers:
        row = conn.execute(
            "SELECT rows, superseded, gone, last_seq, at FROM history_batch"
            " WHERE use_case = %s AND batch = %s",
            (use_case, number),
        ).fetchone()
        assert row is not None
        rows, superseded, gone = (unpack_numbers(packed) for packed in row[:3])
        yield Batch(number, rows, superseded, gone, row[3], row[4])


def are_decided(
    conn: psycopg.Connection[Any], use_case: str, number: int, decided_at: datetime | None
) -> bool:
    """Whether this database has decided a batch of this number, and one at this time where it is known."""
    found = conn.execute(
        "SELECT batch, at FROM history_batch WHERE use_case = %s AND (batch = %s OR at = %s)",
        (use_case, number, decided_at),
    ).fetchall()
    numbers, times = ({row[part] for row in found} for part in (0, 1))
    return number in numbers and (decided_at is None or decided_at in times)


def read_mark(conn: psycopg.Connection[Any], use_case: str, until: int = NEWEST) -> Mark:
    """Up to where the last batch has read, or the last up to a number."""
    row = conn.execute(
        "SELECT batch, last_seq, settled_at, last_change FROM history_batch"
        " WHERE use_case = %s AND batch <= %s ORDER BY batch DESC LIMIT 1",
        (use_case, until),
    ).fetchone()
    return Mark() if row is None else Mark(*row)


def pack_numbers(numbers: Numbers) -> bytes:
    """Numbers in ascending order as bytes: of rows that came one after another, next to none."""
    return zlib.compress(np.diff(numbers, prepend=0).astype("<i8").tobytes())


def unpack_numbers(packed: bytes) -> Numbers:
    """What `pack_numbers` was given."""
    return np.cumsum(np.frombuffer(zlib.decompress(packed), "<i8")).astype(np.int64)


_NONE = pack_numbers(np.array([], dtype=np.int64))


def _earliest_since(conn: psycopg.Connection[Any], began: float) -> datetime:
    """The earliest time that anything bears which came since a moment: the clock may have been set back then.

    Args:
        began: the moment, by the clock of this process that nobody sets (`time.monotonic`).
    """
    row = conn.execute(
        "SELECT clock_timestamp() - make_interval(secs => %s)", (time.monotonic() - began,)
    ).fetchone()
    assert row is not None
    moment: datetime = row[0]
    return moment


def _last_change(conn: psycopg.Connection[Any], use_case: str, mark: Mark) -> int:
    """The greatest number of a change that batches up to a mark have heard of."""
    if mark.last_change is not None:
        return mark.last_change
    return int(told_since(conn, use_case, "changes", EVER).max(initial=0))


def _look(conn: psycopg.Connection[Any], use_case: str, mark: Mark, known: int, most: int) -> _Seen:
    """What there is beyond a mark, of fresh rows so many, and beyond the changes up to a number."""
    settled_at = mark.settled_at or EVER
    heard = told_since(conn, use_case, "changes", settled_at)
    found = conn.execute(
        _LOOK,
        {
            "use_case": use_case,
            "last": mark.last_seq,
            "settled_at": settled_at,
            "heard": heard.tolist(),
            # A clock that was set back, or that of a server that took over, says of news that it is older.
            "known": known,
            "most": most,
        },
    ).fetchall()
    fresh, late, standing, changes, changed = (
        np.unique(np.array([seq for what, seq in found if what == kind], dtype=np.int64))
        for kind in ("fresh", "late", "standing", "change", "changed")
    )
    if len(late):
        late = np.setdiff1d(late, told_since(conn, use_case, "rows", settled_at))
    return _Seen(fresh, np.union1d(late, standing), changed[changed <= mark.last_seq], changes)


def held_until(conn: psycopg.Connection[Any], use_case: str, batch: int, numbers: Numbers) -> Numbers:
    """Those of some rows of batches up to a number that were as they had been when the last was decided.

    Args:
        numbers: of rows that such a batch held, or may have; in ascending order, each once.
    """
    told = conn.execute(
        "SELECT rows, gone FROM history_batch WHERE use_case = %s AND batch <= %s AND gone <> %s"
        " ORDER BY batch",
        (use_case, batch, _NONE),
    )
    held = np.ones(len(numbers), dtype=bool)
    for rows, gone in told:
        held[np.isin(numbers, unpack_numbers(gone))] = False
        # One that was given another group is there again by the same number.
        held[np.isin(numbers, unpack_numbers(rows))] = True
    return numbers[held]


def has_gone(conn: psycopg.Connection[Any], use_case: str) -> bool:
    """Whether any batch says of a row that it is not as it was any more."""
    row = conn.execute(
        "SELECT EXISTS (SELECT 1 FROM history_batch WHERE use_case = %s AND gone <> %s)",
        (use_case, _NONE),
    ).fetchone()
    assert row is not None
    return bool(row[0])


def told_since(
    conn: psycopg.Connection[Any],
    use_case: str,
    what: Literal["rows", "changes"],
    moment: datetime,
    *,
    until: int = NEWEST,
) -> Numbers:
    """What batches up to a number hold that may have seen something of after a moment."""
    told = conn.execute(
        f"SELECT {what} FROM history_batch WHERE use_case = %s AND at >= %s AND batch <= %s",
        (use_case, moment, until),
    ).fetchall()
    return np.concatenate([np.array([], dtype=np.int64), *(unpack_numbers(packed) for (packed,) in told)])


def _note(
    conn: psycopg.Connection[Any],
    use_case: str,
    mark: Mark,
    rows: Numbers,
    superseded: Numbers,
    gone: Numbers,
    changes: Numbers,
) -> None:
    packed = [pack_numbers(one) for one in (rows, superseded, gone, changes)]
    conn.execute(
        "INSERT INTO history_batch"
        " (use_case, batch, rows, superseded, gone, changes, last_seq, settled_at, last_change, at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, greatest(clock_timestamp(), %s, %s))",
        (
            use_case, mark.number, *packed, mark.last_seq, mark.settled_at, mark.last_change,
            _latest(conn, "received_at", "feedback", "seq", use_case, rows),
            _latest(conn, "at", "feedback_change", "id", use_case, changes),
        ),
    )  # fmt: skip


def _latest(
    conn: psycopg.Connection[Any],
    time: LiteralString,
    table: LiteralString,
    key: LiteralString,
    use_case: str,
    numbers: Numbers,
) -> datetime | None:
    """The latest time of rows by their numbers, or of some between them; None: there are none.

    A batch is no earlier than anything that it holds, also where the clock was set back since: by its time it
    is found when what came late is told from what batches hold.
    """
    if not len(numbers):
        return None
    first, last = int(numbers.min()), int(numbers.max())
    is_dense = last - first < 2 * len(numbers)
    which: LiteralString = "BETWEEN %s AND %s" if is_dense else "= ANY(%s)"
    named = (first, last) if is_dense else (numbers.tolist(),)
    row = conn.execute(
        f"SELECT max({time}) FROM {table} WHERE use_case = %s AND {key} {which}", (use_case, *named)
    ).fetchone()
    assert row is not None
    latest: datetime | None = row[0]
    return latest


def _numbers(conn: psycopg.Connection[Any], query: Any, parameters: tuple[Any, ...]) -> Numbers:
    with conn.cursor(binary=True) as cursor:
        return np.unique(np.array([row[0] for row in cursor.execute(query, parameters)], dtype=np.int64))
