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
"""What a database that is not there raises."""
STATEMENT_SECONDS = 15


class Database:
    """Runs functions on a connection.

    The address is read again for every connection: the embedded server may come back on another port.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._local = threading.local()
        self._guard = threading.Lock()
        self._kept: set[psycopg.Connection[Any]] = set()

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
            kept: psycopg.Connection[Any] | None = getattr(self._local, "conn", None)
            if kept is not None and not kept.closed:
                try:
                    return work(kept)
                except AWAY:
                    kept.close()
            conn = self._local.conn = self.open()
            with self._guard:
                self._kept = {one for one in self._kept if not one.closed} | {conn}
            conn.execute(f"SET statement_timeout = '{STATEMENT_SECONDS}s'")
            return work(conn)
        except psycopg.errors.UndefinedTable as error:
            raise DatabaseAway("its tables are missing; `ratchet up` makes them") from error
        except AWAY as error:
            raise DatabaseAway(str(error)) from error

    def close(self) -> None:
        """Close the connections of all threads."""
        for conn in self._kept:
            conn.close()
