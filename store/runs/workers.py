"""Whether a worker that runs flows is alive: each shows it by a lock that goes with its connection.

A worker that is killed, or that has lost the database, is gone from there at once; of a machine that falls
silent PostgreSQL finds out within seconds, by asking after the connection.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, LiteralString

import psycopg

from store.database.locks import HELD_KEYS, Purpose, key_sql
from store.database.sessions import keep_shared_async, try_keep_lock

_PURPOSE: Purpose = "worker of flows"
_KEY = key_sql(_PURPOSE, None)
_START: Final = "start"
_START_KEY = key_sql(_PURPOSE, f"'{_START}'")
GONE_SECONDS = 12.0
"""After which PostgreSQL has found out that a worker's machine has fallen silent."""
_ASK_AFTER = ("tcp_keepalives_idle = 3", "tcp_keepalives_interval = 2", "tcp_keepalives_count = 3")


async def show_worker(conn: psycopg.AsyncConnection[Any]) -> None:
    """Mark this connection as a worker's, for as long as it lasts; any number of them may be."""
    for setting in _ASK_AFTER:
        await conn.execute(f"SET {setting}")
    await conn.execute(f"SELECT pg_advisory_lock_shared({_KEY})")


async def keep_worker(conn: psycopg.AsyncConnection[Any]) -> None:
    """The same behind a pooler: in a transaction that is open until the connection ends."""
    await keep_shared_async(conn, _KEY)


def has_worker(conn: psycopg.Connection[Any]) -> bool:
    """Whether any worker is connected."""
    return count_workers(conn) > 0


def count_workers(conn: psycopg.Connection[Any]) -> int:
    """How many workers are connected."""
    row = conn.execute(f"SELECT count(*) FROM ({HELD_KEYS}) AS held (key) WHERE key = {_KEY}").fetchone()
    assert row is not None
    return int(row[0])


@contextmanager
def starting_alone(conn: psycopg.Connection[Any], on_wait: Callable[[str], None]) -> Iterator[str | None]:
    """Nobody else starts by this while it lasts, which is to be until the own worker is connected.

    Args:
        conn: in autocommit; may be closed at the end, by which the lock goes.
        on_wait: told the address of a worker while it is not known yet whether it stays.

    Yields:
        The address that another is connected from which has a worker or starts one, and is no remainder of
        one that has gone; None: there is none.
    """
    until = time.monotonic() + GONE_SECONDS
    while (keeper := try_keep_lock(conn, _PURPOSE, _START)) is None and time.monotonic() < until:
        time.sleep(0.2)
    if keeper is None:
        yield _address(conn, _START_KEY) or "an address that is not told"
        return
    try:
        yield worker_that_stays(conn, on_wait)
    finally:
        keeper.close()  # lets go, also of what is lost already


def worker_that_stays(conn: psycopg.Connection[Any], on_wait: Callable[[str], None]) -> str | None:
    """The address that a worker is connected from which is no remainder of one that has gone; None: none is.

    Args:
        conn: in autocommit.
        on_wait: told the address while it is not known yet whether it is one.
    """
    until = time.monotonic() + GONE_SECONDS
    if (address := _address(conn, _KEY)) is not None:
        on_wait(address)
    while address is not None and time.monotonic() < until:
        time.sleep(0.2)
        address = _address(conn, _KEY)
    return address


def _address(conn: psycopg.Connection[Any], key: LiteralString) -> str | None:
    row = conn.execute(
        "SELECT coalesce(host(client_addr), 'a socket') FROM pg_stat_activity "
        "JOIN pg_locks USING (pid) WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND database = "
        "(SELECT oid FROM pg_database WHERE datname = current_database()) "
        f"AND (classid::bigint << 32) | objid::bigint = {key} LIMIT 1"
    ).fetchone()
    return None if row is None else str(row[0])
