"""Advisory locks: PostgreSQL keeps them by a 64-bit number, made here from what is locked.

A new process and one of an earlier release may use the database at once: keys are as they were there, so
that the two wait for each other and see each other alive. Only that of `migration` is another: of two
migrations at once the second fails, rolls back and says so.
"""

from __future__ import annotations

from typing import Any, Literal, LiteralString

import psycopg

Purpose = Literal[
    "alive",
    "feedback",
    "file",
    "history",
    "idempotency",
    "job worker",
    "ledger",
    "migration",
    "move",
    "pruning",
    "run",
    "shadow",
    "truth",
    "worker of flows",
]
# PostgreSQL shows a 64-bit key as two halves.
_KEY: LiteralString = "(classid::bigint << 32) | objid::bigint"
_HELD: LiteralString = (
    "FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND database = "
    "(SELECT oid FROM pg_database WHERE datname = current_database())"
)
HELD_KEYS: LiteralString = f"SELECT {_KEY} {_HELD}"
"""SQL of the keys that some connection to this database holds."""
HOLDERS: LiteralString = f"SELECT pid, {_KEY} {_HELD}"
"""SQL of the same with the process id of the session that holds each."""


def key_sql(purpose: Purpose, name: LiteralString | None = "%s") -> LiteralString:
    """SQL of a lock's key.

    Args:
        name: SQL of the text that tells locks of the same purpose apart; None where there is only one.

    >>> key_sql("alive", "id::text")
    "hashtextextended('alive:' || id::text, 0)"
    """
    text: LiteralString = f"'{purpose}'" if name is None else f"'{purpose}:' || {name}"
    return f"hashtext({text})" if purpose == "ledger" else f"hashtextextended({text}, 0)"


def lock_transaction(conn: psycopg.Connection[Any], purpose: Purpose, name: str) -> None:
    """Wait for the lock and hold it until the caller's transaction ends."""
    conn.execute(f"SELECT pg_advisory_xact_lock({key_sql(purpose)})", (name,))


def share_transaction(conn: psycopg.Connection[Any], purpose: Purpose, name: str) -> None:
    """As `lock_transaction`, beside others who share it; who wants it alone waits for all of them."""
    conn.execute(f"SELECT pg_advisory_xact_lock_shared({key_sql(purpose)})", (name,))


def lock_session(conn: psycopg.Connection[Any], purpose: Purpose, name: str) -> None:
    """Wait for the lock and hold it until `unlock_session`, or until the connection is gone."""
    conn.execute(f"SELECT pg_advisory_lock({key_sql(purpose)})", (name,))


def try_lock_session(conn: psycopg.Connection[Any], purpose: Purpose, name: str) -> bool:
    """The same without waiting; False: another connection holds it."""
    row = conn.execute(f"SELECT pg_try_advisory_lock({key_sql(purpose)})", (name,)).fetchone()
    return row is not None and bool(row[0])


def unlock_session(conn: psycopg.Connection[Any], purpose: Purpose, name: str) -> None:
    """Let go of what `lock_session` took."""
    conn.execute(f"SELECT pg_advisory_unlock({key_sql(purpose)})", (name,))
