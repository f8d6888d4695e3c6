"""Snapshots by digest; what is damaged or gone is made again from the database."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np
import psycopg
from numpy.typing import NDArray

from configs.schema import UseCase
from features.records.contract import RecordContract, take
from features.records.rows import record_bytes
from store.errors import HistoryDamaged, HistoryError, SnapshotError, StorageError
from store.feedback.rows import FeedbackRows, read_by_seq
from store.history.layout import Layout
from store.history.places import table_named, table_of
from store.history.table import HistoryTable
from store.snapshots.files import content_digest, load_snapshot, snapshot_file, write_snapshot
from store.snapshots.frames import Frame, Newest, SplitRows
from store.snapshots.index import Snapshot, find_snapshot, keep_contents, read_contents
from store.snapshots.opening import SnapshotRows
from store.snapshots.shared import fetch_snapshot, publish_snapshot
from store.snapshots.uses import Split

T = TypeVar("T")
log = logging.getLogger("ratchet.snapshots")
MOST_IN_MEMORY = 200_000_000
"""Bytes of rows to learn from that are read into memory; what is more is read from a file, batch by batch."""


def open_snapshot(
    conn: psycopg.Connection[Any],
    use_case: UseCase,
    home: Path,
    digest: str,
    *,
    use: str | None = None,
    newest: Newest | None = None,
) -> Frame:
    """The rows of a snapshot, exactly as they were.

    What is damaged or gone is written anew. That it is right is proven by its digest.

    Args:
        use: only the rows that are used so (`store.snapshots.uses`).
        newest: of those to learn from only these.

    Raises:
        SnapshotError: there is no such snapshot, or it is damaged and cannot be made again.
    """
    snapshot = find_snapshot(conn, digest)
    if snapshot.rule is not None:
        rows = snapshot_rows(conn, use_case, home, snapshot)
        return made_good(conn, rows, lambda: rows.frame(use=use, newest=newest))
    ensure_kept(snapshot)
    path = snapshot_file(home, use_case.name, digest)
    try:
        frame = _load(snapshot, path, use_case.name)
    except SnapshotError as damage:
        frame = _rebuild(conn, use_case, snapshot, damage)
        write_snapshot(path, use_case.record.fields, frame, frame.split)
        _publish_again(path, use_case.name)
        conn.execute("UPDATE snapshot SET path = %s WHERE digest = %s", (str(path), digest))
        log.warning("%s; it was made again from the database", damage)
    else:
        keep_contents(conn, digest, frame.seq, frame.split)
    conn.commit()
    return frame.used(use).with_newest(newest)


def open_split(
    conn: psycopg.Connection[Any],
    use_case: UseCase,
    home: Path,
    digest: str,
    folder: Path,
    *,
    newest: Newest | None = None,
) -> SplitRows:
    """The rows of a snapshot as a retrain takes them; see `open_snapshot`.

    Args:
        folder: of a file for those to learn from, for as long as they are used, where they are many.
        newest: of those to learn from only these.

    Raises:
        SnapshotError: as `open_snapshot`.
    """
    snapshot = find_snapshot(conn, digest)
    learned = snapshot.train_rows
    if newest is not None and newest.span is None:
        learned = min(learned, newest.rows)
    if snapshot.rule is None or learned * record_bytes(use_case.record) <= MOST_IN_MEMORY:
        return SplitRows.of(open_snapshot(conn, use_case, home, digest, newest=newest))
    rows = snapshot_rows(conn, use_case, home, snapshot)
    return made_good(conn, rows, lambda: rows.split(folder, newest=newest))


def _load(snapshot: Snapshot, path: Path, use_case: str) -> Frame:
    """From this home, from where the one who took it has put it, or from the storage."""
    damages = []
    for place in dict.fromkeys((path, snapshot.path)):
        try:
            return load_snapshot(place)
        except SnapshotError as damage:
            damages.append(damage)
    try:
        fetched = fetch_snapshot(path, use_case)
    except StorageError as error:
        raise SnapshotError(f"{damages[-1]}; {error}") from error
    if not fetched:
        raise damages[-1]
    return load_snapshot(path)


def _publish_again(path: Path, use_case: str) -> None:
    """Whoever only reads goes on where the storage takes nothing now."""
    try:
        publish_snapshot(path, use_case, replace=True)
    except StorageError as error:
        log.warning("%s stays in this home alone for now: %s", path.name, error)


def read_snapshot(conn: psycopg.Connection[Any], use_case: UseCase, home: Path, digest: str) -> Frame:
    """The rows of a snapshot for somebody who must not write: a file that is damaged or gone stays as it is.

    Raises:
        SnapshotError: as `open_snapshot`.
    """
    snapshot = find_snapshot(conn, digest)
    if snapshot.rule is not None:
        return open_snapshot(conn, use_case, home, digest)
    ensure_kept(snapshot)
    with TemporaryDirectory() as folder:
        try:
            return _load(snapshot, snapshot_file(Path(folder), use_case.name, digest), use_case.name)
        except SnapshotError as damage:
            return _rebuild(conn, use_case, snapshot, damage)


def read_split(
    conn: psycopg.Connection[Any], use_case: UseCase, home: Path, digest: str, folder: Path
) -> SplitRows:
    """The same rows as a retrain takes them; see `open_split`."""
    if find_snapshot(conn, digest).rule is not None:
        return open_split(conn, use_case, home, digest, folder)
    return SplitRows.of(read_snapshot(conn, use_case, home, digest))


def ensure_kept(snapshot: Snapshot) -> None:
    """
    Raises:
        SnapshotError: it was pruned.
    """
    if snapshot.rule is None and snapshot.path.suffix != ".parquet":
        raise SnapshotError(
            f"snapshot {snapshot.digest[:12]} is older than those that are kept (retention.snapshots)"
        )


def snapshot_rows(
    conn: psycopg.Connection[Any], use_case: UseCase, home: Path, snapshot: Snapshot
) -> SnapshotRows:
    """A snapshot that is a rule, with a table that holds its batches and was proven to hold its rows.

    Raises:
        SnapshotError: its table cannot be made here.
    """
    assert snapshot.rule is not None
    table = _table(home, use_case, snapshot.rule.table)
    rows = SnapshotRows(table, snapshot.rule, snapshot.digest, home / "work")
    try:
        table.fill(conn, snapshot.rule.batch)
    except HistoryDamaged as damage:
        make_again(conn, table, damage)
    made_good(conn, rows, rows.check)
    return rows


def make_again(conn: psycopg.Connection[Any], table: HistoryTable, damage: HistoryError) -> None:
    """Make a table again from the database, in the place of one that is damaged."""
    log.warning("%s; it is made again from the database", damage)
    table.make_again(conn)


def made_good(conn: psycopg.Connection[Any], rows: SnapshotRows, read: Callable[[], T]) -> T:
    """What is read of a snapshot, of a table that is made again where it is damaged."""
    try:
        return read()
    except HistoryDamaged as damage:
        make_again(conn, rows.table, damage)
        try:
            return read()
        except HistoryError as again:
            why = "its rows in the database, or the fields of the use case, were changed since"
            raise SnapshotError(f"{damage}; it cannot be made again: {why} ({again})") from again


def _table(home: Path, use_case: UseCase, name: str) -> HistoryTable:
    if Layout(use_case.record).name == name:
        return table_of(home, use_case.name, use_case.record)
    try:
        return table_named(home, use_case.name, name)
    except HistoryError as error:
        raise SnapshotError(
            f"{error}; it cannot be made again: the fields of the use case were changed since"
        ) from error


def _rebuild(
    conn: psycopg.Connection[Any], use_case: UseCase, snapshot: Snapshot, damage: SnapshotError
) -> Frame:
    contents = read_contents(conn, snapshot.digest)
    if contents is None:
        why = (
            "it was taken before the database kept which rows a snapshot holds, or is older than those that "
            "are kept (retention.snapshots)"
        )
        raise SnapshotError(f"{damage}; it cannot be made again: {why}") from damage
    seq, split = contents
    # Of an event that is later than its arrival, earlier releases had the time as it was told.
    for times_as_told in (False, True):
        contract = RecordContract(use_case.record)
        rows = read_by_seq(conn, use_case.name, contract, seq, times_as_told=times_as_told)
        if len(rows) != len(seq):
            gone = f"{len(seq) - len(rows)} of its {len(seq)} rows are not in the database any more"
            why = f"{gone}, or do not fit the fields of the use case"
            raise SnapshotError(f"{damage}; it cannot be made again: {why}") from damage
        frame = _frame(rows, seq, split)
        if content_digest(frame, split) == snapshot.digest:
            return frame
    why = "its rows in the database, or the fields of the use case, were changed since"
    raise SnapshotError(f"{damage}; it cannot be made again: {why}") from damage


def _frame(rows: FeedbackRows, seq: NDArray[np.int64], split: Split) -> Frame:
    """Rows that are in the order of arrival, in that of a snapshot."""
    order = np.searchsorted(rows.seq, seq)
    return Frame(
        take(rows.columns, order),
        rows.labels[order],
        rows.identities[order],
        rows.seq[order],
        rows.time[order],
        split,
    )
