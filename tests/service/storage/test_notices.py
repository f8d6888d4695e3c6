"""A wait for notices ends with the first of them, with the connection, and with the thread that waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest

from service.storage.notices import NoticeWait

LONG = 60.0


@pytest.fixture
def other(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("LISTEN news")
        yield conn


def test_what_was_announced_before_the_wait_is_heard(
    conn: psycopg.Connection, other: psycopg.Connection
) -> None:
    conn.execute("NOTIFY news, 'one'")
    conn.execute("NOTIFY news, 'two'")
    other.execute("SELECT 1")  # which reads what came
    assert [notice.payload for notice in NoticeWait().wait(other, LONG)] == ["one", "two"]
    assert NoticeWait().wait(other, 0.0) == []


def test_what_is_announced_during_the_wait_is_heard(
    conn: psycopg.Connection, other: psycopg.Connection
) -> None:
    timer = threading.Timer(0.2, conn.execute, ["NOTIFY news, 'later'"])
    timer.start()
    assert [notice.payload for notice in NoticeWait().wait(other, LONG)] == ["later"]
    timer.join()


def test_a_thread_that_is_to_end_waits_no_longer(other: psycopg.Connection) -> None:
    notices, heard = NoticeWait(), []
    begun = threading.Event()

    def run() -> None:
        begun.set()
        heard.append(notices.wait(other, LONG))

    thread = threading.Thread(target=run)
    thread.start()
    begun.wait(LONG)
    notices.end(thread, LONG / 2)
    notices.end(thread, LONG / 2)  # a second time is no fault, and closes nobody else's descriptors
    assert not thread.is_alive()
    assert heard == [[]]


def test_a_lost_connection_ends_the_wait(conn: psycopg.Connection, other: psycopg.Connection) -> None:
    pid = other.info.backend_pid
    timer = threading.Timer(0.2, conn.execute, [f"SELECT pg_terminate_backend({pid})"])
    timer.start()
    with pytest.raises(psycopg.OperationalError):
        for _word in ("why it ends", "the end"):
            assert NoticeWait().wait(other, LONG) == []
    timer.join()
