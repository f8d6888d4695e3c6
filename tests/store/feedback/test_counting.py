"""How many labelled rows there are, as triggers have it: always what counting them would give."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from alembic import command
from alembic.config import Config

from store.database.connection import connect, migrate
from store.database.revisions import SCRIPTS
from store.feedback.insertion import FeedbackBatch, add_feedback
from store.feedback.rows import count_feedback
from tests.databases import with_database

DOCUMENT = '{"a": 1}'
INSERT = """
    INSERT INTO feedback (use_case, identity, record, label)
    SELECT %s, 'i:' || g, '{}', '0' FROM generate_series(1, %s) AS g"""


def counted(conn: psycopg.Connection, use_case: str) -> int:
    row = conn.execute("SELECT count(*) FROM feedback WHERE use_case = %s", (use_case,)).fetchone()
    assert row is not None
    assert count_feedback(conn, use_case) == row[0]
    return int(row[0])


def test_rows_that_come_go_and_come_again(conn: psycopg.Connection) -> None:
    assert counted(conn, "u") == 0
    batch = FeedbackBatch(["i:1", "i:2", "i:3"], [DOCUMENT] * 3, ["0"] * 3, "file")
    add_feedback(conn, "u", batch)
    add_feedback(conn, "u", FeedbackBatch(["i:1", "i:4"], [DOCUMENT] * 2, ["1"] * 2, "file"))
    conn.execute(INSERT, ("v", 7))
    assert (counted(conn, "u"), counted(conn, "v")) == (4, 7)
    conn.execute("DELETE FROM feedback WHERE identity IN ('i:1', 'i:2')")
    assert (counted(conn, "u"), counted(conn, "v")) == (2, 5)
    with pytest.raises(ZeroDivisionError), conn.transaction():
        conn.execute(INSERT, ("w", 3))
        raise ZeroDivisionError
    assert counted(conn, "w") == 0
    conn.execute("TRUNCATE feedback")
    assert (counted(conn, "u"), counted(conn, "v")) == (0, 0)


def test_sessions_that_add_at_once_are_all_counted(database_url: str, conn: psycopg.Connection) -> None:
    def add(number: int) -> None:
        with connect(database_url) as own:
            add_feedback(own, "u", FeedbackBatch([f"i:t{number}"], [DOCUMENT], ["0"], "http"))
            own.commit()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))
    assert counted(conn, "u") == 40


def test_rows_of_before_are_counted_by_the_migration(postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute("CREATE DATABASE before_counting")
    url = with_database(postgres, "before_counting")
    config = Config()
    for name, value in SCRIPTS.items():
        config.set_main_option(name, value)
    config.attributes["url"] = url
    command.upgrade(config, "0015")
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(INSERT, ("u", 500))
        # As a migration that was killed leaves it.
        conn.execute("CREATE INDEX feedback_by_time ON feedback (use_case, received_at)")
        conn.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'feedback_by_time'::regclass")
        migrate(url)
        assert counted(conn, "u") == 500
        conn.execute(INSERT, ("v", 3))
        assert counted(conn, "v") == 3
        index = conn.execute(
            "SELECT indexdef FROM pg_indexes WHERE indexname = 'feedback_by_time'"
        ).fetchone()
        assert index is not None
        assert "INCLUDE (seq)" in index[0]
        assert conn.execute("SELECT to_regclass('feedback_by_arrival')").fetchone() == (None,)
        command.downgrade(config, "0015")
        migrate(url)
        assert (counted(conn, "u"), counted(conn, "v")) == (500, 3)
