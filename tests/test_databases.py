"""A database that is used again is as a new one, or is not used again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from models.production import ledger
from store.feedback.insertion import FeedbackBatch, add_feedback
from tests.conftest import TEMPLATE
from tests.databases import Databases, with_database

OIDS = "SELECT oid FROM pg_database WHERE datname = current_database()"
BATCH = FeedbackBatch(["i:1", "h:2"], ['{"x": 1}'] * 2, ["a", "b"], "file")


@pytest.fixture
def databases(postgres: str) -> Iterator[Databases]:
    with closing(Databases(postgres, TEMPLATE)) as made:
        yield made
    with psycopg.connect(postgres, autocommit=True) as conn:
        for name in made._free:
            conn.execute(f"DROP DATABASE {name}")


def dumped(conn: psycopg.Connection) -> dict[str, list[str]]:
    """Every row of every table, and where each sequence stands."""
    tables = [
        str(row[0]) for row in conn.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    ]
    rows = {one: [str(row[0]) for row in conn.execute(f"SELECT t::text FROM {one} t")] for one in tables}
    sequences = conn.execute("SELECT sequencename, last_value FROM pg_sequences ORDER BY 1").fetchall()
    return rows | {"sequences": [str(one) for one in sequences]}


def number(conn: psycopg.Connection) -> int:
    return int((conn.execute(OIDS).fetchone() or (0,))[0])


def test_what_a_test_has_stored_is_gone_and_the_name_is_new(databases: Databases) -> None:
    with databases.empty() as first, psycopg.connect(first, autocommit=True) as conn:
        new, used = dumped(conn), number(conn)
        add_feedback(conn, "u", BATCH)
        ledger.record(conn, "u", "promoted", actor="x", reason="", to_version=1)
        assert dumped(conn) != new
    with databases.empty() as second, psycopg.connect(second, autocommit=True) as conn:
        assert (number(conn), dumped(conn)) == (used, new)
        add_feedback(conn, "u", BATCH)
        assert conn.execute("SELECT min(seq) FROM feedback").fetchone() == (1,)
    assert first != second


def test_a_session_that_is_left_open_is_ended(databases: Databases) -> None:
    with databases.empty() as url:
        left = psycopg.connect(url, autocommit=True)
        left.execute("CREATE TEMP TABLE mine (x int)")
        left.execute("SELECT pg_advisory_lock(1)")
        used = number(left)
    with databases.empty() as url, psycopg.connect(url, autocommit=True) as conn:
        assert number(conn) == used
        assert conn.execute("SELECT pg_try_advisory_lock(1)").fetchone() == (True,)
    with pytest.raises(psycopg.OperationalError):
        left.execute("SELECT 1")


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE other (x int)",
        "DROP TABLE snapshot CASCADE",
        "ALTER TABLE ledger DISABLE TRIGGER USER",
        "ALTER TABLE feedback ADD COLUMN other int",
        "ALTER TABLE feedback ALTER COLUMN label SET DEFAULT 'x'",
        "CREATE INDEX other ON feedback (label)",
        "CREATE FUNCTION other() RETURNS int LANGUAGE sql RETURN 1",
        "CREATE SCHEMA other",
        "UPDATE draw_secret SET secret = 'another'",
        "DELETE FROM draw_secret",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = ''CET''', current_database()); END $$",
    ],
)
def test_what_is_not_as_it_was_is_not_used_again(databases: Databases, change: str) -> None:
    with databases.empty() as url, psycopg.connect(url, autocommit=True) as conn:
        new, used = dumped(conn), number(conn)
        conn.execute(change)
    with databases.empty() as url, psycopg.connect(url, autocommit=True) as conn:
        assert number(conn) != used
        assert dumped(conn) == new


def test_one_that_is_gone_is_replaced(databases: Databases, postgres: str) -> None:
    with databases.empty() as url, psycopg.connect(postgres, autocommit=True) as conn:
        conn.execute(f"DROP DATABASE {url.rpartition('/')[2]}")
    with databases.empty() as url, psycopg.connect(url) as conn:
        assert number(conn)


def test_the_address_is_that_of_the_server(postgres: str) -> None:
    assert with_database(postgres, "other").rpartition("/")[0] == postgres.rpartition("/")[0]
