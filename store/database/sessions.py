"""Where a connection has a session of its own, and what is done where it has not.

A pooler in transaction mode (PgBouncer: `pool_mode = transaction`) gives each transaction whatever session is
free. Notices do not arrive there, and what a session holds or was set goes to whoever comes next. So what
needs a session goes to `RATCHET_DATABASE_DIRECT_URL` where that is set. Without it a lock is held by a
transaction that stays open on a connection of its own, which keeps one session of the pool; whoever would
listen looks instead.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, LiteralString

import psycopg
from psycopg.conninfo import make_conninfo

from configs.settings import Settings
from store.database.connection import closed_on_error, configured_addresses, connect, database_url
from store.database.locks import Purpose, key_sql, lock_session, try_lock_session, unlock_session
from store.errors import DatabaseUnavailable

Connection = psycopg.Connection[Any]
PROBES = 3
"""Connections that hold a transaction each, so that a pooler has to show which sessions it shares."""
ASK_SECONDS = 0.2
"""Between two looks at whether a lock is free."""
KEEPER: LiteralString = "/* ratchet keeps a lock */ "
"""Begins each statement of a transaction that is open for its lock alone: rows never come to light by it."""
_WITHOUT_SNAPSHOT: LiteralString = f"{KEEPER}SELECT 1"
"""After a statement with parameters, whose snapshot the server keeps until the next one in a transaction: an
index that is made CONCURRENTLY, as by migrations, would wait for its end."""
_SESSION = "SELECT pg_backend_pid()"
_FOREVER = "SET LOCAL idle_in_transaction_session_timeout = 0"
_shared: dict[str, bool] = {}
"""Whether the pooler at an address shares sessions, as this process has found."""


def session_url(settings: Settings) -> str:
    """Address of the server for what needs a session: the direct one, else that of the database.

    Raises:
        DatabaseUnavailable: neither is known.
    """
    return settings.direct_database_url or database_url(settings)


def ensure_sessions(settings: Settings) -> None:
    """Go on only where the configured addresses lead to a database, and the direct one to sessions of it.

    Raises:
        DatabaseUnavailable: a server cannot be reached, by the variable that names it; or the direct address
            gives a connection no session of its own, or the two are different databases.
    """
    with ExitStack() as stack:
        conns = {
            variable: stack.enter_context(connect(url, autocommit=True))
            for variable, url in configured_addresses(settings).items()
        }
        direct, conn = conns.get("RATCHET_DATABASE_DIRECT_URL"), conns.get("RATCHET_DATABASE_URL")
        if direct is None:
            return
        if not has_own_session(direct):
            raise DatabaseUnavailable(
                "RATCHET_DATABASE_DIRECT_URL leads to a pooler in transaction mode; name the server itself "
                "there, or a pooler in session mode, or unset it"
            )
        if conn is not None and _identity(conn) != _identity(direct):
            raise DatabaseUnavailable(
                "RATCHET_DATABASE_URL and RATCHET_DATABASE_DIRECT_URL lead to different databases; the "
                "second is the way to the same one without a pooler in transaction mode"
            )


def _identity(conn: Connection) -> tuple[Any, ...] | None:
    return conn.execute(
        "SELECT oid, datname, pg_postmaster_start_time() FROM pg_database WHERE datname = current_database()"
    ).fetchone()


def has_own_session(conn: Connection) -> bool:
    """Whether the session of a connection is there for it alone, as long as it lasts."""
    pid = conn.execute(_SESSION).fetchone()
    return _is_server(conn, pid) or not _shares_sessions(conn.info)


def own_sessions(url: str) -> bool:
    """Whether connections to an address have sessions of their own.

    Raises:
        DatabaseUnavailable: the server does not answer or refuses.
    """
    with connect(url, autocommit=True) as conn:
        return has_own_session(conn)


async def has_own_session_async(conn: psycopg.AsyncConnection[Any]) -> bool:
    """The same on an event loop."""
    pid = await (await conn.execute(_SESSION)).fetchone()
    return _is_server(conn, pid) or not await asyncio.to_thread(_shares_sessions, conn.info)


def _is_server(conn: Any, pid: tuple[Any, ...] | None) -> bool:
    """Whether nobody stands between: a pooler tells a client a number of its own."""
    return pid is not None and pid[0] == conn.info.backend_pid


def _address(info: psycopg.ConnectionInfo) -> str:
    return make_conninfo(info.dsn, **({"password": info.password} if info.password else {}))


def _shares_sessions(info: psycopg.ConnectionInfo) -> bool:
    """Whether a session that one connection was given goes to another while the first is still there."""
    if info.dsn not in _shared:
        _shared[info.dsn] = _probe(_address(info))
    return _shared[info.dsn]


def _probe(address: str) -> bool:
    with ExitStack() as stack:
        first = stack.enter_context(connect(address, autocommit=True))
        own = first.execute(_SESSION).fetchone()
        for _ in range(PROBES):
            other = stack.enter_context(connect(address))
            if other.execute(_SESSION).fetchone() == own or first.execute(_SESSION).fetchone() != own:
                return True
    return False


def keep_lock(conn: Connection, purpose: Purpose, name: str) -> Connection:
    """Wait for a lock, and hold it as long as the connection lasts that is returned.

    That is `conn` where it has a session, else another one, which is good for nothing else.
    """
    if has_own_session(conn):
        lock_session(conn, purpose, name)
        return conn
    keeper, _ = _open_keeper(conn, f"SELECT pg_advisory_xact_lock({key_sql(purpose)})", (name,))
    return keeper


def try_keep_lock(conn: Connection, purpose: Purpose, name: str) -> Connection | None:
    """The same without waiting; None: somebody else holds it."""
    if has_own_session(conn):
        return conn if try_lock_session(conn, purpose, name) else None
    keeper, row = _open_keeper(conn, f"SELECT pg_try_advisory_xact_lock({key_sql(purpose)})", (name,))
    if row is not None and row[0]:
        return keeper
    keeper.close()
    return None


def keep_lock_within(
    conn: Connection,
    purpose: Purpose,
    name: str,
    seconds: float,
    on_wait: Callable[[], None] = lambda: None,
) -> Connection | None:
    """The same, waiting for so long by asking again: for a statement that waits others would have to wait.

    Args:
        on_wait: called once when somebody else holds it.
    """
    until = time.monotonic() + seconds
    if (keeper := try_keep_lock(conn, purpose, name)) is None:
        on_wait()
    while keeper is None and time.monotonic() < until:
        time.sleep(ASK_SECONDS)
        keeper = try_keep_lock(conn, purpose, name)
    return keeper


def let_go(conn: Connection, keeper: Connection, purpose: Purpose, name: str) -> None:
    """End what `keep_lock` gave for `conn`."""
    if keeper is not conn:
        with suppress(psycopg.Error):  # gone, and the lock with it
            keeper.rollback()  # the server hears some time later that a connection was closed
        keeper.close()
    elif not conn.closed:
        unlock_session(conn, purpose, name)


@contextmanager
def hold_lock(conn: Connection, purpose: Purpose, name: str) -> Iterator[None]:
    """Hold a lock until the end, when what `conn` has done is committed first."""
    keeper = keep_lock(conn, purpose, name)
    try:
        yield
    finally:
        if keeper is not conn and not conn.closed:
            conn.commit()
        let_go(conn, keeper, purpose, name)
        if not conn.closed:
            conn.commit()


def is_kept(keeper: Connection) -> bool:
    """Whether a connection of `keep_lock` is there; asks it."""
    try:
        keeper.execute(f"{KEEPER}SELECT 1")
    except psycopg.Error:
        return False
    return True


def keep_shared(conn: Connection, keys: LiteralString, parameters: Sequence[Any] = ()) -> Connection:
    """Hold locks beside others as long as the connection lasts that is returned, as with `keep_lock`.

    Args:
        keys: SQL of their keys.
    """
    if has_own_session(conn):
        conn.execute(f"SELECT pg_advisory_lock_shared(key) FROM ({keys}) AS keys (key)", parameters)
        return conn
    lock: LiteralString = f"SELECT pg_advisory_xact_lock_shared(key) FROM ({keys}) AS keys (key)"
    keeper, _ = _open_keeper(conn, lock, parameters)
    return keeper


def _open_keeper(
    conn: Connection, lock: LiteralString, parameters: Sequence[Any]
) -> tuple[Connection, tuple[Any, ...] | None]:
    """Another connection with a transaction that stays open, and what it was answered."""
    keeper = connect(_address(conn.info))
    with closed_on_error(keeper):
        keeper.execute(_FOREVER)
        row = keeper.execute(f"{KEEPER}{lock}", parameters).fetchone()
        keeper.execute(_WITHOUT_SNAPSHOT)
    return keeper, row


async def keep_shared_async(
    conn: psycopg.AsyncConnection[Any], keys: LiteralString, parameters: Sequence[Any] = ()
) -> None:
    """Hold locks beside others, in a transaction that is open until the connection ends.

    Args:
        keys: SQL of their keys.
    """
    await conn.execute("BEGIN")
    await conn.execute(_FOREVER)
    await conn.execute(
        f"{KEEPER}SELECT pg_advisory_xact_lock_shared(key) FROM ({keys}) AS keys (key)", parameters
    )
    await conn.execute(_WITHOUT_SNAPSHOT)
