"""Snapshots of two homes on one storage: either opens what the other took."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from configs.settings import read_settings
from store.errors import HistoryError, SnapshotError, StorageUnavailable
from store.objects.contract import Storage
from store.objects.opening import open_storage
from store.snapshots.files import load_snapshot, snapshot_file
from store.snapshots.index import Snapshot
from store.snapshots.restoring import open_snapshot, read_snapshot
from store.snapshots.shared import forget_shared, publish_snapshot, shared_digests
from tests.ports import closed_port
from tests.store.snapshots.older import take_older
from tests.store.snapshots.test_restoring import flip, same
from tests.store.splits.test_taking import RECORDS, USE_CASE, store
from tests.store.splits.test_taking import snap as snap_by_rule


@pytest.fixture(params=["file", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """What `RATCHET_STORAGE` names meanwhile."""
    if request.param == "s3":
        url = str(request.getfixturevalue("bucket"))
    else:
        (tmp_path / "shared").mkdir()
        url = f"file://{tmp_path}/shared"
    monkeypatch.setenv("RATCHET_STORAGE", url)
    return open_storage(read_settings())


def snap(conn: psycopg.Connection, home: Path) -> Snapshot:
    """A file of an earlier release, copied to the storage."""
    taken = take_older(conn, USE_CASE, home)
    publish_snapshot(taken.path, USE_CASE.name)
    return taken


def lose_contents(conn: psycopg.Connection) -> None:
    """As snapshots of early releases are: their rows cannot be found again."""
    conn.execute("UPDATE snapshot SET contents = NULL")


def test_another_home_opens_what_one_took(conn: psycopg.Connection, storage: Storage, tmp_path: Path) -> None:
    store(conn, RECORDS)
    taken = snap(conn, tmp_path / "here")
    before = load_snapshot(taken.path)
    assert [one.key for one in storage.list()] == [f"snapshots/{USE_CASE.name}/{taken.digest}.parquet"]
    lose_contents(conn)
    taken.path.unlink()
    assert same(open_snapshot(conn, USE_CASE, tmp_path / "there", taken.digest), before)
    copy = snapshot_file(tmp_path / "there", USE_CASE.name, taken.digest)
    assert same(load_snapshot(copy), before)
    assert copy.stat().st_mode & 0o777 == 0o400


def test_a_damaged_copy_is_fetched_again(conn: psycopg.Connection, storage: Storage, tmp_path: Path) -> None:
    store(conn, RECORDS)
    taken = snap(conn, tmp_path)
    before = load_snapshot(taken.path)
    lose_contents(conn)
    flip(taken.path, taken.path.stat().st_size // 3)
    assert same(open_snapshot(conn, USE_CASE, tmp_path, taken.digest), before)
    assert storage.get(f"snapshots/{USE_CASE.name}/{taken.digest}.parquet") == taken.path.read_bytes()


def test_a_damaged_object_is_written_again(
    conn: psycopg.Connection, storage: Storage, tmp_path: Path
) -> None:
    store(conn, RECORDS)
    taken = snap(conn, tmp_path)
    before, key = load_snapshot(taken.path), f"snapshots/{USE_CASE.name}/{taken.digest}.parquet"
    storage.put(key, b"no snapshot")
    taken.path.unlink()
    assert same(open_snapshot(conn, USE_CASE, tmp_path / "there", taken.digest), before)
    storage.fetch(key, tmp_path / f"{taken.digest}.parquet")
    assert same(load_snapshot(tmp_path / f"{taken.digest}.parquet"), before)


def test_who_must_not_write_reads_from_the_storage(
    conn: psycopg.Connection, storage: Storage, tmp_path: Path
) -> None:
    store(conn, RECORDS)
    taken = snap(conn, tmp_path)
    before = load_snapshot(taken.path)
    lose_contents(conn)
    taken.path.unlink()
    assert same(read_snapshot(conn, USE_CASE, tmp_path, taken.digest), before)
    assert list(taken.path.parent.iterdir()) == []
    assert shared_digests(tmp_path, USE_CASE.name) == {taken.digest}
    forget_shared(tmp_path, USE_CASE.name, taken.digest)
    assert list(storage.list()) == []
    with pytest.raises(SnapshotError, match="cannot be made again"):
        read_snapshot(conn, USE_CASE, tmp_path, taken.digest)


def test_with_the_storage_away_nothing_is_taken_and_what_the_database_has_is_read(
    conn: psycopg.Connection, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RATCHET_STORAGE", bucket)
    store(conn, RECORDS[:-1])
    taken = snap(conn, tmp_path)
    before = load_snapshot(taken.path)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed_port()}")
    assert same(open_snapshot(conn, USE_CASE, tmp_path, taken.digest), before)
    assert same(open_snapshot(conn, USE_CASE, tmp_path / "there", taken.digest), before)
    taken.path.unlink()
    assert same(read_snapshot(conn, USE_CASE, tmp_path, taken.digest), before)
    store(conn, RECORDS)
    with pytest.raises((StorageUnavailable, HistoryError)):
        snap_by_rule(conn, tmp_path)
    monkeypatch.undo()


def test_rows_in_the_storage_are_read_by_another_home(
    conn: psycopg.Connection, storage: Storage, tmp_path: Path
) -> None:
    store(conn, RECORDS)
    taken = snap_by_rule(conn, tmp_path / "here")
    before = open_snapshot(conn, USE_CASE, tmp_path / "here", taken.digest)
    assert {one.key.split("/")[0] for one in storage.list()} == {"history"}
    conn.execute("DELETE FROM feedback")
    conn.commit()
    assert same(open_snapshot(conn, USE_CASE, tmp_path / "there", taken.digest), before)
    assert not (tmp_path / "there" / "history").exists()
