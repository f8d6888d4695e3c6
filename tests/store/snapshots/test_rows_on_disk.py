"""Rows to learn from that lie on disk are those that memory would hold: values, order, as often as asked."""

from __future__ import annotations

import os
import pickle
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pytest

from configs.schema import FieldConfig, RecordConfig, UseCase
from features.records import rows as batches
from features.records.rows import RowBatch, RowSource, record_bytes, stored_rows_at_once
from models.streamed.sources import ChosenRows, gather, newest
from store.errors import HistoryDamaged, SnapshotError
from store.feedback.rows import StoredVersion, read_versions
from store.history import batches as decisions
from store.history import table
from store.history.batches import unpack_numbers
from store.history.places import table_of
from store.snapshots import opening, restoring
from store.snapshots.frames import Frame, Newest
from store.snapshots.index import Snapshot
from store.snapshots.learned import NOTHING_LEARNED
from store.snapshots.restoring import open_split, snapshot_rows
from store.snapshots.rows_on_disk import RowsOnDisk
from store.splits.taking import take_snapshot
from tests.disks import fill, small_disk
from tests.store.samples import test_rows as pears
from tests.store.splits.test_taking import RECORDS, USE_CASE, store

IMAGES = RecordConfig(fields=(FieldConfig(name="picture", type="image", shape=(28, 28)),))


def same(one: RowBatch | None, other: RowBatch | None) -> None:
    assert one is not None
    assert other is not None
    assert one.seq.tolist() == other.seq.tolist()
    assert one.labels.tolist() == other.labels.tolist()
    assert one.time.tolist() == other.time.tolist()
    assert one.columns.keys() == other.columns.keys()
    for name, column in one.columns.items():
        assert column.dtype == other.columns[name].dtype
        np.testing.assert_array_equal(column, other.columns[name])


def same_frame(one: Frame, other: Frame) -> None:
    same(gather(one.rows), gather(other.rows))
    assert one.split.tolist() == other.split.tolist()
    assert one.identities.tolist() == other.identities.tolist()


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restoring, "MOST_IN_MEMORY", 0)
    monkeypatch.setattr(batches, "MOST_ROWS", 7)


@pytest.fixture
def taken(conn: psycopg.Connection[Any], tmp_path: Path) -> Snapshot:
    pears.store(conn)
    return take_snapshot(conn, pears.USE_CASE, tmp_path, since=None, learned=NOTHING_LEARNED)


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("given", [1, opening.LEAST_GIVEN], ids=["by DuckDB", "by number"])
@pytest.mark.parametrize("wanted", [None, Newest(12), Newest(12, timedelta(minutes=20)), Newest(10**6)])
def test_what_is_on_disk_is_what_memory_holds(
    conn: psycopg.Connection[Any], tmp_path: Path, taken: Snapshot, monkeypatch: pytest.MonkeyPatch,
    wanted: Newest | None, given: int,
) -> None:  # fmt: skip
    monkeypatch.setattr(opening, "LEAST_GIVEN", given)
    on_disk = open_split(conn, pears.USE_CASE, tmp_path, taken.digest, tmp_path, newest=wanted)
    assert isinstance(on_disk.learn, RowsOnDisk)
    assert isinstance(on_disk.learn, RowSource)
    monkeypatch.setattr(restoring, "MOST_IN_MEMORY", 10**9)
    in_memory = open_split(conn, pears.USE_CASE, tmp_path, taken.digest, tmp_path, newest=wanted)
    assert not isinstance(in_memory.learn, RowsOnDisk)
    same(gather(on_disk.learn), gather(in_memory.learn))
    assert len(on_disk.learn) == len(in_memory.learn) < pears.ROWS
    assert on_disk.learn.seq.tolist() == in_memory.learn.seq.tolist()
    assert {len(batch) for batch in on_disk.learn} <= set(range(1, 8))
    same_frame(on_disk.beside, in_memory.beside)
    same_frame(on_disk.holdout, in_memory.holdout)


def test_wide_rows_are_read_fewer_at_once(
    conn: psycopg.Connection[Any], tmp_path: Path, taken: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restoring, "MOST_IN_MEMORY", 0)
    monkeypatch.setattr(batches, "BATCH_BYTES", 3 * record_bytes(pears.USE_CASE.record))
    looked_at: list[int] = []
    prove = opening.SnapshotRows._proven

    def proven(rows: opening.SnapshotRows, batch: pa.RecordBatch) -> pa.Table:
        looked_at.append(batch.num_rows)
        return prove(rows, batch)

    monkeypatch.setattr(opening.SnapshotRows, "_proven", proven)
    on_disk = open_split(conn, pears.USE_CASE, tmp_path, taken.digest, tmp_path)
    assert {len(batch) for batch in on_disk.learn} <= {1, 2, 3}
    assert (max(looked_at), sum(looked_at)) == (3, len(on_disk.learn)), "nor are more in memory before"


def test_wide_rows_are_read_fewer_at_once_from_the_database(
    conn: psycopg.Connection[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pears.store(conn)
    asked: list[int] = []

    def read(*args: Any) -> list[StoredVersion]:
        asked.append(len(args[-1]))
        return read_versions(*args)

    monkeypatch.setattr(table, "read_versions", read)
    monkeypatch.setattr(batches, "STORED_BYTES", 3 * record_bytes(pears.USE_CASE.record))
    take_snapshot(conn, pears.USE_CASE, tmp_path, since=None, learned=NOTHING_LEARNED)
    assert (max(asked), sum(asked) >= pears.ROWS) == (3, True)


@pytest.mark.usefixtures("small_batches")
def test_every_kind_of_value_comes_back(conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    store(conn, [*RECORDS, *RECORDS, *RECORDS])
    snapshot = take_snapshot(conn, USE_CASE, tmp_path, since=None, learned=NOTHING_LEARNED)
    split = open_split(conn, USE_CASE, tmp_path, snapshot.digest, tmp_path)
    whole = restoring.open_snapshot(conn, USE_CASE, tmp_path, snapshot.digest)
    same(gather(split.learn), gather(whole.train.rows))
    assert None in split.beside.columns["colour"].tolist() + [
        value for batch in split.learn for value in batch.columns["colour"].tolist()
    ]


@pytest.mark.usefixtures("small_batches")
def test_some_of_them_and_what_a_process_is_sent(
    conn: psycopg.Connection[Any], tmp_path: Path, taken: Snapshot
) -> None:
    learn = open_split(conn, pears.USE_CASE, tmp_path, taken.digest, tmp_path).learn
    whole = gather(learn)
    assert whole is not None
    odd = whole.seq % 2 == 1
    for source in (learn, pickle.loads(pickle.dumps(learn))):
        chosen = ChosenRows(source, odd)
        same(gather(chosen), whole.take(odd))
        same(gather(newest(chosen, 20)), whole.take(np.flatnonzero(odd)[-20:]))
        assert newest(chosen, 20).seq.tolist() == whole.seq[odd][-20:].tolist()
    assert gather(ChosenRows(learn, np.zeros(len(learn), dtype=np.bool_))) is None


@pytest.mark.usefixtures("small_batches")
def test_a_row_that_is_not_what_it_was_is_found(
    conn: psycopg.Connection[Any], tmp_path: Path, taken: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = snapshot_rows(conn, pears.USE_CASE, tmp_path, taken)
    monkeypatch.setattr(opening, "digests_of", lambda *_: np.zeros((7, 2), dtype=np.uint64))
    with pytest.raises(HistoryDamaged, match="are not what they were"):
        rows.split(tmp_path)


@pytest.mark.usefixtures("small_batches")
def test_a_table_that_is_damaged_is_made_again(
    conn: psycopg.Connection[Any], tmp_path: Path, taken: Snapshot
) -> None:
    before = gather(open_split(conn, pears.USE_CASE, tmp_path, taken.digest, tmp_path).learn)
    table = table_of(tmp_path, pears.USE_CASE.name, pears.USE_CASE.record)
    for path in table.files():
        Path(path).unlink()
    same(gather(open_split(conn, pears.USE_CASE, tmp_path, taken.digest, tmp_path).learn), before)


def test_whether_there_are_many_is_told_by_what_a_record_takes(
    conn: psycopg.Connection[Any], tmp_path: Path, taken: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert record_bytes(pears.USE_CASE.record) == 8 + batches.CATEGORY_BYTES
    assert record_bytes(IMAGES) == 784

    def is_on_disk(most: int, wanted: Newest | None = None, use_case: UseCase = pears.USE_CASE) -> bool:
        monkeypatch.setattr(restoring, "MOST_IN_MEMORY", most)
        split = open_split(conn, use_case, tmp_path, taken.digest, tmp_path, newest=wanted)
        return isinstance(split.learn, RowsOnDisk)

    all_of_them = taken.train_rows * record_bytes(pears.USE_CASE.record)
    assert not is_on_disk(all_of_them)
    assert is_on_disk(all_of_them - 1)
    assert not is_on_disk(all_of_them - 1, Newest(taken.train_rows - 1))
    assert is_on_disk(all_of_them - 1, Newest(1, timedelta(minutes=1))), "nobody knows how many those are"


@pytest.mark.usefixtures("small_batches")
def test_a_file_that_cannot_be_written_or_is_cut_off_is_told_with_its_place(
    conn: psycopg.Connection[Any], tmp_path: Path, taken: Snapshot
) -> None:
    with small_disk(tmp_path / "disk", megabytes=1) as disk:
        ballast = fill(disk)
        with pytest.raises(SnapshotError, match=f"cannot be written to {disk}/rows-.*No space left"):
            open_split(conn, pears.USE_CASE, tmp_path, taken.digest, disk)
        ballast.unlink()
        learn = open_split(conn, pears.USE_CASE, tmp_path, taken.digest, disk).learn
        assert isinstance(learn, RowsOnDisk)
        batches_read = iter(learn)
        assert len(next(batches_read)) == 7
        os.truncate(learn.path, learn.path.stat().st_size // 2)
        with pytest.raises(SnapshotError, match=f"cannot be read from {learn.path}"):
            list(batches_read)
        learn.path.unlink()
        with pytest.raises(SnapshotError, match=f"cannot be read from {learn.path}"):
            list(learn)


def test_wide_rows_are_written_to_the_table_fewer_at_once(
    conn: psycopg.Connection[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pears.store(conn)
    monkeypatch.setattr(decisions, "MOST_BYTES", 10 * record_bytes(pears.USE_CASE.record))
    snapshot = take_snapshot(conn, pears.USE_CASE, tmp_path, since=None, learned=NOTHING_LEARNED)
    query = "SELECT rows FROM history_batch WHERE use_case = %s ORDER BY batch"
    decided = [len(unpack_numbers(packed)) for (packed,) in conn.execute(query, (pears.USE_CASE.name,))]
    assert (max(decided), sum(decided)) == (10, pears.ROWS)
    whole = restoring.open_snapshot(conn, pears.USE_CASE, tmp_path, snapshot.digest)
    assert len(np.unique(whole.seq)) == snapshot.rows == pears.ROWS


def test_how_many_rows_the_database_gives_at_once_goes_by_their_width() -> None:
    large = RecordConfig(fields=(FieldConfig(name="picture", type="image", shape=(1000, 1000, 3)),))
    assert stored_rows_at_once(IMAGES, 20_000) == 20_000
    assert stored_rows_at_once(large, 20_000) == 22
    largest = RecordConfig(fields=(FieldConfig(name="picture", type="image", shape=(4096, 4096, 3)),))
    assert stored_rows_at_once(largest.model_copy(update={"fields": largest.fields * 2}), 20_000) == 1
