"""Waiting for notices of PostgreSQL in a thread that another one can wake."""

from __future__ import annotations

import os
import selectors
import threading
from typing import Any

import psycopg


class NoticeWait:
    """The wait of one thread, which ends at once when the thread is to end.

    psycopg's own wait knows of nothing but its timeout, so that whoever stops the thread would wait for that.
    """

    def __init__(self) -> None:
        self._woken, self._wakes = os.pipe()
        self._closed = False

    def wait(self, conn: psycopg.Connection[Any], seconds: float) -> list[psycopg.Notify]:
        """What was announced on channels that `conn` listens to; empty after `seconds`, or at the end.

        Raises:
            psycopg.Error: the connection is lost.
        """
        if notices := _announced(conn):
            return notices
        with selectors.PollSelector() as selector:  # which takes descriptors of any number, unlike select
            selector.register(conn, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            selector.select(seconds)
        return _announced(conn)

    def end(self, thread: threading.Thread, timeout: float) -> None:
        """Wake `thread`, which has been told to end, and wait until it has, `timeout` seconds at most."""
        if not self._closed:
            os.write(self._wakes, b"\0")
        thread.join(timeout)
        if not self._closed and not thread.is_alive():
            self._closed = True
            os.close(self._woken)
            os.close(self._wakes)


def _announced(conn: psycopg.Connection[Any]) -> list[psycopg.Notify]:
    """Without waiting."""
    return list(conn.notifies(timeout=0))
