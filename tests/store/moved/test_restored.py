"""A database that is back from a dump finds in tables what was moved since: each prediction is there once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from store.moved.asking import ask_back
from store.moved.batches import is_noted
from store.moved.bringing_back import bring_back
from store.moved.moving import finish_moves, move_old
from store.moved.places import prediction_table
from tests.store.moved.answers import NOW, RECORD, USE_CASE, in_tables, store_answers, stored

DAY = timedelta(days=1)


@pytest.fixture
def old(conn: psycopg.Connection[Any], tmp_path: Path) -> Iterator[list[str]]:
    """Predictions of four days, in the database and, of the first three, in the table too."""
    ids = [one for day in (43, 42, 41) for one in store_answers(conn, range(3), NOW - day * DAY)]
    conn.execute("CREATE TABLE dump AS SELECT * FROM prediction")
    assert move_old(conn, tmp_path, USE_CASE, NOW - 30 * DAY) == 9
    conn.execute("DELETE FROM prediction_batch")
    conn.execute("INSERT INTO prediction SELECT * FROM dump")
    conn.execute("DROP TABLE dump")
    conn.execute("ALTER SEQUENCE prediction_batch_number RESTART")
    conn.commit()
    yield ids + store_answers(conn, range(3), NOW - 40 * DAY)


def test_each_prediction_is_in_the_table_once(
    conn: psycopg.Connection[Any], tmp_path: Path, old: list[str]
) -> None:
    assert move_old(conn, tmp_path, USE_CASE, NOW - 30 * DAY) == 12
    assert in_tables(tmp_path) == sorted(old)
    assert stored(conn) == []
    assert conn.execute("SELECT array_agg(rows ORDER BY batch) FROM prediction_batch").fetchone() == (
        [3] * 4,
    )
    ask_back(conn, old)
    conn.commit()
    assert bring_back(conn, tmp_path, ["plums"]) == 12


def test_an_append_of_what_had_gone_by_then_is_no_obstacle(
    conn: psycopg.Connection[Any], tmp_path: Path, old: list[str]
) -> None:
    move_old(conn, tmp_path, USE_CASE, NOW - 30 * DAY)
    table = prediction_table(tmp_path, USE_CASE.name, RECORD)
    last = table.last_batch()
    table.append(last + 1, last, [])
    assert finish_moves(conn, tmp_path, USE_CASE.name) == 0
    assert is_noted(conn, last + 1)
    (more,) = store_answers(conn, [9], NOW - 39 * DAY)
    assert move_old(conn, tmp_path, USE_CASE, NOW - 30 * DAY) == 1
    assert in_tables(tmp_path) == sorted([*old, more])
