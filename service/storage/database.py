"""The service's connections to PostgreSQL: one a thread, opened anew when the server was away."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg

from configs.settings import Settings
from service.errors import DatabaseAway
from store.database.connection import connect, database_url
from store.errors import DatabaseUnavailable

T = TypeVar("T")
AWAY = (DatabaseUnavailable, psycopg.OperationalError, psycopg.InterfaceError)
"""Errors of a database that cannot be reached."""
STATEMENT_SECONDS = 15
"""A statement that takes longer is cancelled."""


class Database:
    """Runs functions on a connection.

    The address is read again for every connection: the embedded server may come back on another port.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._local = threading.local()
        self._guard = threading.Lock()
        self._connections: set[psycopg.Connection[Any]] = set()

    def open(self) -> psycopg.Connection[Any]:
        """A connection of its own, each statement a transaction.

        Raises:
            DatabaseUnavailable: there is no database, or it does not answer.
        """
        return connect(database_url(self._settings), autocommit=True)

    def run(self, work: Callable[[psycopg.Connection[Any]], T]) -> T:
        """Run `work` on this thread's connection.

        `work` must be safe to repeat: on a connection that went stale while idle it is run again.

        Raises:
            DatabaseAway: the database does not answer.
        """
        try:
            idle: psycopg.Connection[Any] | None = getattr(self._local, "conn", None)
            if idle is not None and not idle.closed:
                try:
                    return work(idle)
                except AWAY:
                    idle.close()
            return work(self._reconnect())
        except psycopg.errors.UndefinedTable as error:
            raise DatabaseAway("its tables are missing; `ratchet up` makes them") from error
        except AWAY as error:
            raise DatabaseAway(str(error)) from error

    def _reconnect(self) -> psycopg.Connection[Any]:
        """A new connection for this thread, to be used again."""
        conn = self._local.conn = self.open()
        with self._guard:
            self._connections = {conn for conn in self._connections if not conn.closed} | {conn}
        conn.execute(f"SET statement_timeout = '{STATEMENT_SECONDS}s'")
        return conn

    def close(self) -> None:
        """Close the connections of all threads."""
        for conn in self._connections:
            conn.close()
