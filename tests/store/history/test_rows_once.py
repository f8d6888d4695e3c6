"""Rows that an earlier Ratchet added to the history again, as the clock was set back, stand there once."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.config import Config

from store.database.connection import connect, migrate
from store.database.revisions import SCRIPTS
from store.history import batches
from store.history.batches import add_batches
from store.history.places import table_of
from store.history.reading import HistoryReader
from store.snapshots.learned import NOTHING_LEARNED
from store.snapshots.restoring import open_snapshot
from store.splits.taking import take_snapshot
from tests.databases import with_database
from tests.store.history.test_batches import say, standing, stored
from tests.store.history.test_cleaning import USE_CASE

AHEAD = "received_at = received_at + interval '2 hours'"


@pytest.fixture
def url(postgres: str) -> str:
    """A database as the release before had it."""
    name = f"before_{uuid.uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}")
    url = with_database(postgres, name)
    config = Config()
    for key, value in SCRIPTS.items():
        config.set_main_option(key, value)
    config.attributes["url"] = url
    command.upgrade(config, "0023")
    return url


@pytest.fixture
def unaware(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Batches are told by the time at which they were decided, whatever they hold."""
    with monkeypatch.context() as patch:
        patch.setattr(batches, "_latest", lambda *_: None)
        yield patch


def lines_of(conn: psycopg.Connection[Any], home: Path, identity: str) -> int:
    """How many lines of a row stand in the table, which is brought up to date."""
    return [name for name, _ in standing(conn, home)].count(identity)


@pytest.mark.parametrize("has_caught_up", [True, False])
def test_rows_of_which_two_lines_stand(
    url: str, tmp_path: Path, has_caught_up: bool, unaware: pytest.MonkeyPatch
) -> None:
    with connect(url) as conn:
        say(conn, "ab", "ripe")
        standing(conn, tmp_path)
        say(conn, "cd", "ripe")
        conn.execute(f"UPDATE feedback SET {AHEAD} WHERE identity IN ('i:c', 'i:d')")
        for name in "efg":
            standing(conn, tmp_path)
            say(conn, name, "green")
        assert lines_of(conn, tmp_path, "i:c") > 1
        if has_caught_up:
            conn.execute("UPDATE feedback SET received_at = now() - interval '1 minute'")
            table_of(tmp_path, USE_CASE.name, USE_CASE.record).make_again(conn)
        say(conn, "d", "green")  # since the last batch: nobody has heard of it yet
        before = take_snapshot(conn, USE_CASE, tmp_path, since=None, learned=NOTHING_LEARNED)
        conn.commit()

    unaware.undo()
    migrate(url)
    with connect(url) as conn:
        assert standing(conn, tmp_path) == stored(conn)
        after = take_snapshot(conn, USE_CASE, tmp_path, since=None, learned=NOTHING_LEARNED)
        assert before.rows > after.rows == 7
        assert sorted(open_snapshot(conn, USE_CASE, tmp_path, after.digest).identities) == [
            identity for identity, _ in stored(conn)
        ]
        assert len(open_snapshot(conn, USE_CASE, tmp_path, before.digest)) == before.rows, (
            "it stays as it was"
        )
        say(conn, "ch", "unripe")
        assert standing(conn, tmp_path) == stored(conn)
        table = table_of(tmp_path, USE_CASE.name, USE_CASE.record)
        table.make_again(conn)
        assert standing(conn, tmp_path) == stored(conn)


def test_rows_that_the_next_batch_would_have_added_again(
    url: str, tmp_path: Path, unaware: pytest.MonkeyPatch
) -> None:
    with connect(url) as conn:
        say(conn, "abcd", "ripe")
        conn.execute(f"UPDATE feedback SET {AHEAD} WHERE identity IN ('i:c', 'i:d')")
        standing(conn, tmp_path)
        say(conn, "d", "green")
        conn.commit()
    unaware.undo()
    migrate(url)
    with connect(url) as conn:
        for name in "ef":
            say(conn, name, "green")
            assert standing(conn, tmp_path) == stored(conn)


def test_a_history_that_is_right_is_left_as_it_is(url: str, tmp_path: Path) -> None:
    with connect(url) as conn:
        say(conn, "abcd", "ripe")
        standing(conn, tmp_path)
        say(conn, "ad", "green")
        standing(conn, tmp_path)
        last = add_batches(conn, USE_CASE.name, USE_CASE.record)
        conn.commit()
    migrate(url)
    with connect(url) as conn:
        assert add_batches(conn, USE_CASE.name, USE_CASE.record) == last
        with HistoryReader(table_of(tmp_path, USE_CASE.name, USE_CASE.record)) as reader:
            assert reader.one("SELECT count(*) FROM lines WHERE kind = 'row'") == 6
