"""How often a table in an object store is read, and that what others did to it is seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from deltalake import DeltaTable

from store.errors import HistoryDamaged
from store.history import delta
from store.history.places import table_of
from store.history.table import HistoryTable
from tests.store.history.test_cleaning import USE_CASE, fill, rows_of


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses of the tables whose log is read."""
    read: list[str] = []

    def counted(uri: str, **options: Any) -> DeltaTable:
        read.append(uri)
        return DeltaTable(uri, **options)

    monkeypatch.setattr(delta, "DeltaTable", counted)
    return read


@pytest.fixture
def table(
    conn: psycopg.Connection[Any], tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> HistoryTable:
    """In a bucket, of two batches."""
    monkeypatch.setenv("RATCHET_STORAGE", bucket)
    made = fill(conn, tmp_path, range(2))
    assert made.is_remote
    return made


def test_a_table_in_a_bucket_is_read_again_only_when_it_has_changed(
    conn: psycopg.Connection[Any], table: HistoryTable, tmp_path: Path, opened: list[str]
) -> None:
    assert rows_of(table) == 6
    del opened[:]
    assert rows_of(table) == 6
    assert table.batches() == 2
    assert opened == []
    assert rows_of(fill(conn, tmp_path, range(2, 3))) == 9
    assert rows_of(table) == 9
    assert set(opened) == {table.uri}
    assert len(opened) < 4, "once by who appended, and once by who reads"


def test_a_table_that_was_made_again_elsewhere_is_not_what_it_was(
    conn: psycopg.Connection[Any], table: HistoryTable, tmp_path: Path
) -> None:
    fill(conn, tmp_path, range(2, 4))
    before = table.files()
    table.make_again(conn)
    after = table.files()
    assert not set(before) & set(after)
    assert rows_of(table) == 12
    table.delete()
    assert table.batches() == 0
    assert rows_of(table) == 0


def test_a_table_that_is_made_again_within_a_second_is_the_new_one(
    conn: psycopg.Connection[Any], table: HistoryTable
) -> None:
    """Object stores tell times in whole seconds, by which its log looks as that of the one before."""
    for _ in range(5):
        before = set(table.files())
        table.make_again(conn)
        assert rows_of(table) == 6
        assert not before & set(table.files())


def test_a_table_that_goes_while_it_is_looked_at_is_told_as_damaged(
    conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    table = fill(conn, tmp_path, range(2))
    seen = delta.open_table(table.uri, {}, "the table of plums")
    table.delete()
    for ask in (delta.last_batch, delta.last_decided_at):
        with pytest.raises(HistoryDamaged, match=r"the table of plums at .* cannot be used"):
            ask(seen, "the table of plums")


def test_other_credentials_are_tried_anew(table: HistoryTable, opened: list[str]) -> None:
    assert table.batches() == 2
    changed = replace(table, options={**table.options, "timeout": "59s"})
    assert changed.batches() == 2
    assert opened == [table.uri]


def test_commits_are_summed_up(conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    table = fill(conn, tmp_path, range(12))
    log = Path(table.uri, delta.LOG)
    assert [path.name for path in log.glob("*.checkpoint.parquet")] == [f"{9:020}.checkpoint.parquet"]
    assert (table.batches(), rows_of(table)) == (12, 36)


def test_a_table_of_an_earlier_release_is_summed_up_as_often_once_it_was_cleaned(
    conn: psycopg.Connection[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from store.history import table as tables

    earlier = {key: value for key, value in tables._CONFIGURATION.items() if key not in delta.OFTEN_SUMMED_UP}
    monkeypatch.setattr(tables, "_CONFIGURATION", earlier)
    table = fill(conn, tmp_path, range(2))
    monkeypatch.undo()
    table.clean(conn)
    commits = DeltaTable(table.uri).version()
    table.clean(conn)
    assert DeltaTable(table.uri).version() == commits, "said once"
    fill(conn, tmp_path, range(2, 12))
    assert list(Path(table.uri, delta.LOG).glob("*.checkpoint.parquet"))
    assert rows_of(table_of(tmp_path, USE_CASE.name, USE_CASE.record)) == 36
