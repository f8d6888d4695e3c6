"""The thread that moves the prediction log into PostgreSQL."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TypeVar

import psycopg

from service.metrics import Metrics
from service.storage.database import AWAY
from store.predictions.journal import Journal, lock_abandoned_folders, move_file, move_folder

INTERVAL = 1.0
"""Seconds between two moves."""
ADOPT_INTERVAL = 15.0
"""Seconds between two looks for what dead workers left."""
RETRY_SECONDS = 5.0
JOURNAL_SECONDS = 2.0
"""How long a caller waits for a prediction to come out of the journal of another worker."""
_LOOK_SECONDS = 0.05

T = TypeVar("T")
log = logging.getLogger("ratchet.service")


class Mover:
    """Moves this worker's log, and what workers that were killed left behind."""

    def __init__(
        self,
        journal: Journal,
        connect: Callable[[], psycopg.Connection[Any]],
        metrics: Metrics,
        interval: float = INTERVAL,
    ) -> None:
        self._journal = journal
        self._connect = connect
        self._metrics = metrics
        self._interval = interval
        self._conn: psycopg.Connection[Any] | None = None
        self._adopted = -ADOPT_INTERVAL
        self._asked = threading.Event()
        self._round = threading.Condition()
        self._rounds = 0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    def start(self) -> None:
        """Begin; what was left from before is moved first."""
        self._thread.start()

    def wake(self) -> None:
        """Move now instead of at the next turn."""
        self._asked.set()

    def flush(self, timeout: float) -> bool:
        """Move all that is logged by now; False when that took longer than `timeout` or failed."""
        with self._round:
            target = self._rounds + 2  # the round that runs now may have begun before the last line
            self._asked.set()
            while self._rounds < target:
                if not self._round.wait(timeout):
                    return False
                self._asked.set()
        return not self._journal.closed_files()

    def stop(self, timeout: float) -> None:
        """Move what is left, as far as the database is there, and end."""
        self._stopping = True
        self._asked.set()
        self._thread.join(timeout)
        self._journal.close()

    def _run(self) -> None:
        failures = 0
        while True:
            stopping = self._stopping
            try:
                self._move()
                failures = 0
            except (*AWAY, psycopg.Error, OSError) as error:
                failures += 1
                self._metrics.intake.journal_failures.inc()
                self._drop_connection()
                if failures == 1:
                    log.warning("predictions stay in the journal for now: %s", error)
            self._metrics.intake.journal_bytes.set(self._journal.backlog_bytes())
            with self._round:
                self._rounds += 1
                self._round.notify_all()
            if stopping:
                self._drop_connection()
                return
            self._asked.wait(min(self._interval * 2**failures, RETRY_SECONDS) if failures else self._interval)
            self._asked.clear()

    def _move(self) -> None:
        self._journal.rotate()
        for path in self._journal.closed_files():
            self._count(move_file(self._connection(), path))
        if monotonic() - self._adopted >= ADOPT_INTERVAL:
            self._adopt(self._journal.root)
            self._adopted = monotonic()

    def _adopt(self, root: Path) -> None:
        for folder, lock in lock_abandoned_folders(root):
            try:
                moved = move_folder(self._connection(), folder)
            finally:
                os.close(lock)
            log.info("stored %d predictions that a stopped worker left", moved)
            self._count(moved)

    def _count(self, rows: int) -> None:
        self._metrics.intake.journal_rows.inc(rows)

    def _connection(self) -> psycopg.Connection[Any]:
        if self._conn is None or self._conn.closed:
            self._conn = self._connect()
        return self._conn

    def _drop_connection(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None


def look_until_stored(look: Callable[[], T], is_all: Callable[[T], bool], flush: Callable[[], None]) -> T:
    """What `look` finds, once it is all there or enough time has passed for it to be stored.

    Args:
        flush: asks the journals of all workers to be stored.
    """
    found = look()
    if not is_all(found):
        flush()
        found = look()
    until = monotonic() + JOURNAL_SECONDS
    while not is_all(found) and monotonic() < until:
        sleep(_LOOK_SECONDS)
        found = look()
    return found
