"""A place that does not answer, or has no room, is no damage: a table that is whole is not deleted for it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import psycopg
import pytest

from store.errors import HistoryDamaged, HistoryError
from store.feedback.insertion import FeedbackBatch, add_feedback
from store.history.places import table_of
from store.history.reading import HistoryReader
from store.objects.opening import storage_at
from store.snapshots.learned import NOTHING_LEARNED
from store.snapshots.restoring import open_snapshot
from store.splits.taking import take_snapshot
from tests.disks import fill, small_disk
from tests.s3_servers import running_s3
from tests.store.history.test_reading import filled
from tests.store.samples import test_rows as pears

ALL = "SELECT sum(weight) FROM (SELECT field_weight AS weight FROM lines)"


def faults_of(reader: HistoryReader, query: str) -> HistoryError:
    with pytest.raises(HistoryError) as raised:
        reader.one(query)
    return raised.value


def test_a_storage_that_is_away_in_the_middle(
    conn: psycopg.Connection[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_s3(tmp_path) as server:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("RATCHET_STORAGE", server.make_bucket("ratchet"))
        table = filled(conn, tmp_path / "home", "apples", 40)
        with HistoryReader(table) as reader:
            server.process.kill()
            server.process.wait()
            error = faults_of(reader, ALL)
    assert type(error) is HistoryError


def test_an_object_that_is_gone_is_damage(
    conn: psycopg.Connection[Any], tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RATCHET_STORAGE", bucket)
    table = filled(conn, tmp_path / "home", "apples", 40)
    storage = storage_at(table.uri)
    with HistoryReader(table) as reader:
        for one in storage.list():
            if one.key.endswith(".parquet"):
                storage.delete(one.key)
        error = faults_of(reader, ALL)
    assert isinstance(error, HistoryDamaged)


def test_a_disk_that_is_full(conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    """The table keeps what it has, a snapshot of it is read, and what came is appended once there is room."""
    with small_disk(tmp_path / "disk", megabytes=2) as home:
        pears.store(conn)
        taken = take_snapshot(conn, pears.USE_CASE, home, since=None, learned=NOTHING_LEARNED)
        table = table_of(home, pears.USE_CASE.name, pears.USE_CASE.record)
        files = table.files()
        ballast = fill(home)
        store(conn, 2000)
        with pytest.raises(HistoryError, match="No space left on device") as raised:
            take_snapshot(conn, pears.USE_CASE, home, since=None, learned=NOTHING_LEARNED)
        conn.rollback()
        assert not isinstance(raised.value, HistoryDamaged)
        assert table.files() == files
        assert len(open_snapshot(conn, pears.USE_CASE, home, taken.digest).seq) == pears.ROWS
        ballast.unlink()
        later = take_snapshot(conn, pears.USE_CASE, home, since=None, learned=NOTHING_LEARNED)
        assert len(open_snapshot(conn, pears.USE_CASE, home, later.digest).seq) == pears.ROWS + 2000
        assert set(files) < set(table.files())


def store(conn: psycopg.Connection[Any], rows: int) -> None:
    """Labelled rows that cannot be written small."""
    records = [json.dumps({"weight": None, "colour": os.urandom(12).hex()}) for _ in range(rows)]
    names = [f"i:later-{number}" for number in range(rows)]
    add_feedback(
        conn, pears.USE_CASE.name, FeedbackBatch(names, records, ["good", "poor"] * (rows // 2), "test")
    )
