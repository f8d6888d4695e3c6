"""Keys of advisory locks: which process waits for which, those of an earlier release too."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from store.database.connection import connect
from store.database.locks import HELD_KEYS, Purpose, key_sql, lock_session, lock_transaction, unlock_session

EARLIER: dict[Purpose, str] = {
    "alive": "alive:x",
    "feedback": "feedback:x",
    "idempotency": "idempotency:x",
    "job worker": "job worker:x",
    "move": "move:x",
    "run": "run:x",
}
"""Texts whose hash earlier releases locked."""


def held(conn: psycopg.Connection[Any]) -> list[int]:
    return [int(row[0]) for row in conn.execute(HELD_KEYS)]


@pytest.mark.parametrize("purpose", EARLIER)
def test_a_lock_is_that_of_an_earlier_release(conn: psycopg.Connection[Any], purpose: Purpose) -> None:
    lock_session(conn, purpose, "x")
    row = conn.execute("SELECT hashtextextended(%s, 0)", (EARLIER[purpose],)).fetchone()
    assert row is not None
    assert held(conn) == [row[0]]
    unlock_session(conn, purpose, "x")
    assert held(conn) == []


def test_a_key_without_a_name_is_the_hash_of_its_purpose(conn: psycopg.Connection[Any]) -> None:
    row = conn.execute(
        f"SELECT {key_sql('worker of flows', None)} = hashtextextended('worker of flows', 0)"
    ).fetchone()
    assert row == (True,)


def test_the_ledger_is_locked_as_by_an_earlier_release() -> None:
    assert key_sql("ledger") == "hashtext('ledger:' || %s)"


def test_a_lock_of_a_transaction_ends_with_it(conn: psycopg.Connection[Any], database_url: str) -> None:
    with connect(database_url) as other:
        with other.transaction():
            lock_transaction(other, "ledger", "mails")
            assert len(held(conn)) == 1
        assert held(conn) == []


def test_purposes_and_names_do_not_wait_for_one_another(
    conn: psycopg.Connection[Any], database_url: str
) -> None:
    conn.execute("SET lock_timeout = '200ms'")
    with connect(database_url, autocommit=True) as other:
        lock_session(other, "move", "mails")
        lock_session(conn, "run", "mails")
        lock_session(conn, "move", "digits")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            lock_session(conn, "move", "mails")
