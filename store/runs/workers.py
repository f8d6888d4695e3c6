"""Whether a worker that runs flows is alive: each shows it by a lock that goes with its connection.

A worker that is killed, or that has lost the database, is gone from there at once; of a machine that falls
silent PostgreSQL finds out within seconds, by asking after the connection. With that lock come others, which
tell workers apart, and say whose models one can read.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, LiteralString
from uuid import uuid4

import psycopg

from configs.settings import Settings
from store.database.locks import HELD_KEYS, HOLDERS, Purpose, key_sql
from store.database.sessions import ASK_SECONDS, keep_lock_within, keep_shared, keep_shared_async, let_go

_PURPOSE: Purpose = "worker of flows"
_KEY = key_sql(_PURPOSE, None)
_START: Final = "start"
_TURN: Final = "turn"
_STARTING_KEY = key_sql(_PURPOSE, "'starting'")
_MODELS: Final = "models"
"""Held by whoever says where its models are: of a worker of an earlier release nobody knows."""
_GIVEN: Final = "given"
GONE_SECONDS = 12.0
"""After which PostgreSQL has found out that a worker's machine has fallen silent."""
TURN_SECONDS = 30.0
"""How long a worker waits for another that is just beginning."""
_ASK_AFTER = ("tcp_keepalives_idle = 3", "tcp_keepalives_interval = 2", "tcp_keepalives_count = 3")
_NAMED: LiteralString = f"SELECT {key_sql(_PURPOSE, 'name')} FROM unnest(%s::text[]) AS names (name)"
_KEYS: LiteralString = f"SELECT {_KEY} UNION ALL {_NAMED}"
_HELD: LiteralString = f"WITH held (pid, key) AS MATERIALIZED ({HOLDERS})"


def _holds(names: LiteralString = "%s") -> LiteralString:
    """SQL of the sessions that hold the lock of any of these names."""
    keys = key_sql(_PURPOSE, "name")
    return f"(SELECT pid FROM held WHERE key IN (SELECT {keys} FROM unnest({names}::text[]) AS names (name)))"


@dataclass(frozen=True)
class WorkerMark:
    """What a worker shows besides that it lives."""

    models: str
    """Where models are that its MLflow keeps; `given`: at an MLflow that it was told of."""
    shares: bool
    """Whether others may keep theirs in the same place."""
    process: str = field(default_factory=lambda: uuid4().hex)
    """Of this one alone."""

    @classmethod
    def of(cls, settings: Settings, *, keeps_models: bool) -> WorkerMark:
        """That of a worker with these settings.

        Args:
            keeps_models: whether its MLflow is of the same home; a worker is told the address of that too.
        """
        if not keeps_models:
            return cls(_GIVEN, shares=True)
        if settings.storage_url is not None:
            return cls(settings.storage_url, shares=True)
        return cls(f"{socket.gethostname()}:{settings.home}", shares=False)

    @property
    def names(self) -> list[str]:
        """Of the locks that show it."""
        return [f"process:{self.process}", _MODELS, f"models:{self.models}"]


async def show_worker(conn: psycopg.AsyncConnection[Any], mark: WorkerMark) -> None:
    """Mark this connection as a worker's, for as long as it lasts; any number of them may be."""
    for setting in _ASK_AFTER:
        await conn.execute(f"SET {setting}")
    await conn.execute(f"SELECT pg_advisory_lock_shared(key) FROM ({_KEYS}) AS keys (key)", (mark.names,))


async def keep_worker(conn: psycopg.AsyncConnection[Any], mark: WorkerMark) -> None:
    """The same behind a pooler: in a transaction that is open until the connection ends."""
    await keep_shared_async(conn, _KEYS, (mark.names,))


def has_worker(conn: psycopg.Connection[Any]) -> bool:
    """Whether any worker is connected."""
    row = conn.execute(f"SELECT {_KEY} IN ({HELD_KEYS})").fetchone()
    assert row is not None
    return bool(row[0])


def worker_address(conn: psycopg.Connection[Any]) -> str | None:
    """The address that a worker is connected from, of a pooler where there is one; None: no worker is."""
    return _address(conn, f"{_HELD} SELECT pid FROM held WHERE key = {_KEY}", ())


def has_other_worker(conn: psycopg.Connection[Any], mark: WorkerMark) -> bool:
    """Whether a worker is connected that is another process than the one of this mark."""
    row = conn.execute(
        f"{_HELD} SELECT EXISTS (SELECT FROM held WHERE key = {_KEY} AND pid NOT IN {_holds()})",
        ([f"process:{mark.process}"],),
    ).fetchone()
    assert row is not None
    return bool(row[0])


def take_turn(conn: psycopg.Connection[Any]) -> psycopg.Connection[Any] | None:
    """Be the only worker that looks who else lives, from now until the connection ends that is returned.

    That should be once this worker is seen by others: of two that begin at once each would see nobody.

    Args:
        conn: in autocommit.

    Returns:
        As of `keep_lock_within`; None: another has it for longer than `TURN_SECONDS`.
    """
    return keep_lock_within(conn, _PURPOSE, _TURN, TURN_SECONDS)


@contextmanager
def starting(
    conn: psycopg.Connection[Any], mark: WorkerMark, on_wait: Callable[[str], None]
) -> Iterator[str | None]:
    """Be seen as one that starts a worker while this lasts, which is to be until that is connected.

    Args:
        conn: in autocommit; may be closed at the end, by which the locks go.
        on_wait: told the address of a worker while it is not known yet whether it stays.

    Yields:
        The address that another is connected from which has a worker or starts one whose models this one
        could not read, or the other way round, and is no remainder of one that has gone; None: there is none.
    """
    turn = keep_lock_within(conn, _PURPOSE, _START, 2 * GONE_SECONDS)  # who has it may wait itself
    if turn is None:
        yield _holder(conn) or "an address that is not told"
        return
    try:
        if (address := stranger_that_stays(conn, mark, on_wait)) is None:
            keeper = keep_shared(conn, f"SELECT {_STARTING_KEY} UNION ALL {_NAMED}", (mark.names,))
    finally:
        let_go(conn, turn, _PURPOSE, _START)
    if address is not None:
        yield address
        return
    try:
        yield None
    finally:
        keeper.close()  # lets go, also of what is lost already


def stranger_that_stays(
    conn: psycopg.Connection[Any], mark: WorkerMark, on_wait: Callable[[str], None]
) -> str | None:
    """The address that a worker is connected from, or is being started at, whose models are kept elsewhere.

    None: there is none but, maybe, a remainder of one that has gone. Where a worker of an earlier release has
    its models is not known; in a storage that is shared it may have them too.

    Args:
        conn: in autocommit.
        on_wait: told the address while it is not known yet whether it is one.
    """
    until = time.monotonic() + GONE_SECONDS
    if (address := _stranger(conn, mark)) is not None:
        on_wait(address)
    while address is not None and time.monotonic() < until:
        time.sleep(ASK_SECONDS)
        address = _stranger(conn, mark)
    return address


def _stranger(conn: psycopg.Connection[Any], mark: WorkerMark) -> str | None:
    readable = [f"{_MODELS}:{_GIVEN}", f"{_MODELS}:{mark.models}"]
    told: LiteralString = f"AND pid IN {_holds()}" if mark.shares else ""
    workers: LiteralString = f"SELECT pid FROM held WHERE key IN ({_KEY}, {_STARTING_KEY})"
    parameters = (readable, [_MODELS]) if mark.shares else (readable,)
    return _address(conn, f"{_HELD} {workers} AND pid NOT IN {_holds()} {told}", parameters)


def _holder(conn: psycopg.Connection[Any]) -> str | None:
    """Who looks whether it may start, or is of an earlier release and starts."""
    return _address(conn, f"{_HELD} SELECT pid FROM {_holds()} AS holders", ([_START],))


def _address(conn: psycopg.Connection[Any], pids: LiteralString, parameters: Sequence[Any]) -> str | None:
    row = conn.execute(
        f"SELECT coalesce(host(client_addr), 'a socket') FROM pg_stat_activity WHERE pid IN ({pids}) LIMIT 1",
        parameters,
    ).fetchone()
    return None if row is None else str(row[0])
