"""Whether a worker that runs flows is alive: each shows it by a lock that goes with its connection.

A worker that is killed, or that has lost the database, is gone from there at once; of a machine that falls
silent PostgreSQL finds out within seconds, by asking after the connection.
"""

from __future__ import annotations

from typing import Any

import psycopg

from store.database.locks import HELD_KEYS, key_sql
from store.database.sessions import keep_shared_async

_KEY = key_sql("worker of flows", None)
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
    row = conn.execute(f"SELECT {_KEY} IN ({HELD_KEYS})").fetchone()
    return row is not None and bool(row[0])
