"""A worker is alive as long as its connection to the database is."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from configs.settings import CHECKOUT
from store.runs.workers import has_worker

SHOW = """
import asyncio, sys
import psycopg
from store.runs.workers import WorkerMark, show_worker

async def live():
    async with await psycopg.AsyncConnection.connect(sys.argv[1], autocommit=True) as conn:
        await show_worker(conn, WorkerMark("here", shares=False))
        print("shown", flush=True)
        await asyncio.sleep(60)

asyncio.run(live())
"""


@contextmanager
def living_worker(database_url: str) -> Iterator[subprocess.Popen[str]]:
    """A process that shows its life as a worker does."""
    process = subprocess.Popen(
        [sys.executable, "-c", SHOW, database_url], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "shown\n"
        yield process
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


def gone_within(conn: psycopg.Connection, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not has_worker(conn):
            return True
        time.sleep(0.02)
    return False


def test_a_killed_worker_is_gone_at_once(database_url: str, conn: psycopg.Connection) -> None:
    assert not has_worker(conn)
    with living_worker(database_url) as worker:
        assert has_worker(conn)
        worker.kill()
        assert gone_within(conn, 2)


def test_of_two_workers_one_is_enough(database_url: str, conn: psycopg.Connection) -> None:
    with living_worker(database_url) as first, living_worker(database_url):
        first.kill()
        first.wait(10)
        assert not gone_within(conn, 0.3)
    assert gone_within(conn, 2)


def test_a_worker_that_lost_its_connection_is_gone(database_url: str, conn: psycopg.Connection) -> None:
    with living_worker(database_url) as worker:
        conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert gone_within(conn, 2)
        assert worker.poll() is None


def test_other_locks_are_no_workers(conn: psycopg.Connection) -> None:
    conn.execute("SELECT pg_advisory_lock(7), pg_advisory_lock(1, 2)")
    assert not has_worker(conn)
