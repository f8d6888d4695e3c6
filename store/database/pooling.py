"""Whether a pooler stands before PostgreSQL that gives every transaction another session.

Locks that a session holds, by which workers and runs show that they live, and notices need one session for
one connection: PgBouncer with `pool_mode = session`, or the server itself.
"""

from __future__ import annotations

from contextlib import ExitStack

from store.database.connection import address, connect
from store.errors import DatabaseUnavailable

PROBES = 3
"""Connections that hold a transaction each, so that a pooler has to show which sessions it shares."""
_SESSION = "SELECT pg_backend_pid()"


def ensure_sessions(url: str) -> None:
    """Go on only where a connection has a session of its own.

    Raises:
        DatabaseUnavailable: it does not, or the server cannot be reached.
    """
    if _shares_sessions(url):
        raise DatabaseUnavailable(
            f"database at {address(url)} is behind a pooler in transaction mode, where locks and notices are "
            "lost; name the server itself in RATCHET_DATABASE_URL, or a pooler in session mode (PgBouncer: "
            "pool_mode = session)"
        )


def _shares_sessions(url: str) -> bool:
    """Whether a session that one connection was given goes to another while the first is still there."""
    with ExitStack() as stack:
        first = stack.enter_context(connect(url, autocommit=True))
        own = first.execute(_SESSION).fetchone()
        for _ in range(PROBES):
            other = stack.enter_context(connect(url))
            if other.execute(_SESSION).fetchone() == own or first.execute(_SESSION).fetchone() != own:
                return True
    return False
