"""A PostgreSQL that neither answers nor refuses: noticed, and those who wait for it are set free."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import psycopg

from store.errors import DatabaseUnavailable

PATIENCE = 3.0
"""Seconds after which it is asked, over a connection of its own, whether it is there at all."""
LONGEST = 60.0
"""Seconds after which work is given up though the server is there: its own connection may be dead."""
LOOK_SECONDS = 0.5

Connection = psycopg.Connection[Any]
log = logging.getLogger("ratchet.service")


class SilenceWatch:
    """Watches work that waits for the database.

    A thread that waits for a server that is stopped, or is lost behind a network, would keep its place for
    minutes, and with it the place of requests that need no database. While the server is silent, further work
    is refused at once; it is asked anew every moment, and work goes on with its first answer.

    Args:
        connect: opens a connection, or raises; waits a few seconds at most.
    """

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._guard = threading.Lock()
        self._work: dict[int, tuple[float, Connection]] = {}
        self._limits: dict[int, float] = {}
        """When work that may take so long only is cancelled."""
        self._number = 0
        self._silent: str | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def ensure_heard(self) -> None:
        """Go on only if the server is not known to be silent.

        Raises:
            DatabaseUnavailable: it is.
        """
        if self._silent is not None:
            raise DatabaseUnavailable(self._silent)

    @contextmanager
    def watching(self, conn: Connection, most_seconds: float | None = None) -> Iterator[None]:
        """Have the work that follows on `conn` fail where the server falls silent.

        Args:
            most_seconds: and be cancelled when it takes longer than this.
        """
        with self._guard:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="silence", daemon=True)
                thread.start()
                self._thread = thread
            self._number += 1
            number = self._number
            self._work[number] = (monotonic(), conn)
            if most_seconds is not None:
                self._limits[number] = monotonic() + most_seconds
        try:
            yield
        finally:
            with self._guard:
                del self._work[number]
                self._limits.pop(number, None)

    def stop(self) -> None:
        """End."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                self._look()
            except Exception:  # no free file descriptor, say: without this watch nobody would be let in again
                log.exception("whether the database is silent could not be looked at; it is again, soon")

    def _look(self) -> None:
        self._cancel_late()
        if self._silent is not None or self._waiting(PATIENCE):
            self._silent = self._ask()
            self._cut_off(LONGEST if self._silent is None else PATIENCE)

    def _waiting(self, seconds: float) -> list[Connection]:
        """Connections whose work has waited for longer."""
        now = monotonic()
        with self._guard:
            return [conn for began, conn in self._work.values() if now - began > seconds]

    def _cancel_late(self) -> None:
        """Cancel what takes longer than it may, again and again until it has ended."""
        now = monotonic()
        with self._guard:
            late = [self._work[number][1] for number, limit in self._limits.items() if limit < now]
        for conn in late:
            with contextlib.suppress(psycopg.Error):
                conn.cancel_safe(timeout=LOOK_SECONDS)

    def _ask(self) -> str | None:
        """What is wrong with the server; None where it lets one in."""
        try:
            self._connect().close()
        except (DatabaseUnavailable, psycopg.Error) as error:
            return str(error)
        return None

    def _cut_off(self, seconds: float) -> None:
        """End the connections of those who have waited for longer: whoever reads from them gets an error."""
        for conn in self._waiting(seconds):
            # An error says that it has ended in the meantime.
            with (
                contextlib.suppress(OSError, psycopg.Error),
                socket.socket(fileno=os.dup(conn.fileno())) as twin,
            ):
                twin.shutdown(socket.SHUT_RDWR)
