"""The service's connections to PostgreSQL: one a thread, opened anew when the server was away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg

from configs.settings import Settings
from service.errors import DatabaseAway, DatabaseReadOnly
from service.storage.silence import SilenceWatch
from store.database.connection import SOON, connect, database_url, let_go_when_lost
from store.database.faults import FAULTS, REPEATED, is_read_only, sentence
from store.database.sessions import has_own_session, session_url
from store.errors import DatabaseUnavailable

T = TypeVar("T")
STATEMENT_SECONDS = 15
"""A statement that takes longer is cancelled; behind a pooler, work that does."""
_LIMIT = "SELECT CASE WHEN pg_backend_pid() = %s THEN set_config('statement_timeout', %s, false) END"
CONNECT_SECONDS = 4
"""How long a connection may take to be made, unless the address says otherwise."""
REPEATS = 2
"""How often work is done again that others' writes undid."""


class Database:
    """Runs functions on a connection.

    The address is read again for every connection: the embedded server may come back on another port.
    A connection on which something failed is not used again: its session may be read-only, or of a server
    that is a replica by now, long after others may write.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._local = threading.local()
        self._guard = threading.Lock()
        self._connections: set[psycopg.Connection[Any]] = set()
        self._pooled: set[psycopg.Connection[Any]] = set()
        """Those behind a pooler, where a setting of the session would become that of others."""
        self._silence = SilenceWatch(self.open)

    def open(self) -> psycopg.Connection[Any]:
        """A connection of its own, each statement a transaction.

        Raises:
            DatabaseUnavailable: there is no database, or it does not answer.
        """
        return self._open(database_url(self._settings))

    def _open(self, url: str) -> psycopg.Connection[Any]:
        conn = connect(url, autocommit=True, timeout=CONNECT_SECONDS, looks=SOON)
        try:
            if has_own_session(conn):  # what is set behind a pooler goes to whoever comes next
                let_go_when_lost(conn)
        except psycopg.Error as error:
            conn.close()
            raise DatabaseUnavailable(sentence(error)) from error
        return conn

    def open_session(self) -> psycopg.Connection[Any]:
        """The same by the way on which a connection has a session of its own, where there is one.

        Raises:
            DatabaseUnavailable: there is no database, or it does not answer.
        """
        return self._open(session_url(self._settings))

    @contextmanager
    def session(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection of its own for work that must not be repeated.

        Raises:
            DatabaseAway: the database does not answer, or not as it should.
        """
        try:
            self._silence.ensure_heard()
            with self.open() as conn, self._silence.watching(conn):
                yield conn
        except FAULTS as error:
            raise database_error(error) from error

    def run(self, work: Callable[[psycopg.Connection[Any]], T]) -> T:
        """Run `work`, which stores something, on this thread's connection.

        `work` must be safe to repeat: on a connection that went stale while idle it is run again.

        Raises:
            DatabaseAway: the database does not answer, or not as it should; nothing was stored.
            DatabaseReadOnly: it takes no writes.
        """
        return self._run(work, writes=True)

    def read(self, work: Callable[[psycopg.Connection[Any]], T]) -> T:
        """Like `run`, where `work` stores nothing."""
        return self._run(work, writes=False)

    def _run(self, work: Callable[[psycopg.Connection[Any]], T], *, writes: bool) -> T:
        try:
            return self._attempt(work)
        except FAULTS as error:
            raise database_error(error, writes=writes) from error

    def _attempt(self, work: Callable[[psycopg.Connection[Any]], T]) -> T:
        """Run `work` on the idle connection, on a new one where that fails, and again after a conflict."""
        self._silence.ensure_heard()
        conn: psycopg.Connection[Any] | None = getattr(self._local, "conn", None)
        may_be_stale = conn is not None and not conn.closed
        repeats = REPEATS
        while True:
            conn = conn if conn is not None and not conn.closed else self._reconnect()
            try:
                with self._silence.watching(conn, STATEMENT_SECONDS if conn in self._pooled else None):
                    return work(conn)
            except FAULTS as error:
                conn.close()
                self._silence.ensure_heard()
                if isinstance(error, psycopg.errors.QueryCanceled) or not (
                    may_be_stale or (isinstance(error, REPEATED) and repeats)
                ):
                    raise
                repeats -= not may_be_stale
                may_be_stale = False

    def _reconnect(self) -> psycopg.Connection[Any]:
        """A new connection for this thread, to be used again."""
        conn = self._local.conn = self.open()
        with self._guard:
            self._connections = {conn for conn in self._connections if not conn.closed} | {conn}
            self._pooled &= self._connections
        if conn.execute(_LIMIT, (conn.info.backend_pid, f"{STATEMENT_SECONDS}s")).fetchone() == (None,):
            self._pooled.add(conn)
        return conn

    def close(self) -> None:
        """Close the connections of all threads."""
        self._silence.stop()
        for conn in self._connections:
            conn.close()


def database_error(error: BaseException, *, writes: bool = True) -> DatabaseAway:
    """A fault of the database as the answer to a request.

    Args:
        writes: whether the request was to store something, so that it has to be sent again.
    """
    kind = DatabaseReadOnly if is_read_only(error) else DatabaseAway
    return kind(sentence(error), writes=writes)
