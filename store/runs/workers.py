"""Whether a worker that runs flows is alive: each shows it by a lock that goes with its connection.

A worker that is killed, or that has lost the database, is gone from there at once; of a machine that falls
silent PostgreSQL finds out within seconds, by asking after the connection.
"""

from __future__ import annotations

from typing import Any

import psycopg

_KEY = "hashtextextended('worker of flows', 0)"
_ASK_AFTER = ("tcp_keepalives_idle = 3", "tcp_keepalives_interval = 2", "tcp_keepalives_count = 3")
# PostgreSQL shows a 64-bit advisory key as two halves.
_IS_HELD = (
    "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    f"AND (classid::bigint << 32) | objid::bigint = {_KEY})"
)


async def show_worker(conn: psycopg.AsyncConnection[Any]) -> None:
    """Mark this connection as a worker's, for as long as it lasts; any number of them may be."""
    for setting in _ASK_AFTER:
        await conn.execute(f"SET {setting}")
    await conn.execute(f"SELECT pg_advisory_lock_shared({_KEY})")


def has_worker(conn: psycopg.Connection[Any]) -> bool:
    """Whether any worker is connected."""
    row = conn.execute(_IS_HELD).fetchone()
    return row is not None and bool(row[0])
