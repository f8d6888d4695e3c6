"""The thread that moves the prediction log, a journal of files, into PostgreSQL."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import psycopg

from service.metrics import Metrics
from store.database.faults import sentence
from store.errors import DatabaseError
from store.predictions.journal import Journal, lock_abandoned_folders, move_file, move_folder

INTERVAL = 1.0
"""Seconds between two moves."""
ADOPT_INTERVAL = 15.0
"""Seconds between two looks for journals of killed workers."""
RETRY_SECONDS = 5.0
"""Longest pause after failures, each of which doubles the pause."""

log = logging.getLogger("ratchet.service")


class JournalMover:
    """Moves the journal of this worker, and those that killed workers have left."""

    def __init__(
        self,
        journal: Journal,
        connect: Callable[[], psycopg.Connection[Any]],
        metrics: Metrics,
        interval: float = INTERVAL,
    ) -> None:
        self.journal = journal
        self._connect = connect
        self._metrics = metrics
        self._interval = interval
        self._conn: psycopg.Connection[Any] | None = None
        self._adopted = -ADOPT_INTERVAL
        self._wake = threading.Event()
        self._round_ended = threading.Condition()
        self._rounds = 0
        self._stopping = False
        self.problem: str | None = None
        """Why what is logged could not be stored, when it was last tried."""
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    def start(self) -> None:
        """Start the thread; what an earlier process left is moved first."""
        self._thread.start()

    def wake(self) -> None:
        """Move now instead of at the next turn."""
        self._wake.set()

    def flush(self, timeout: float) -> bool:
        """Move all that is logged by now; False when a round failed or took over `timeout` seconds."""
        with self._round_ended:
            target = self._rounds + 2  # the round that runs now may have begun before the last line
            self._wake.set()
            while self._rounds < target:
                if not self._round_ended.wait(timeout):
                    return False
                self._wake.set()
        return not self.journal.closed_files()

    def stop(self, timeout: float) -> None:
        """Move what is left, if the database answers, and end; waits at most `timeout` seconds."""
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout)
        self.journal.close()

    def _run(self) -> None:
        failures = 0
        while True:
            stopping = self._stopping
            try:
                self._move_and_count()
                failures, self.problem = 0, None
            except Exception as error:  # noqa: BLE001 - it is told, and what is logged later is to be stored
                failures += 1
                self._note_failure(error, is_first=failures == 1)
            with self._round_ended:
                self._rounds += 1
                self._round_ended.notify_all()
            if stopping:
                self._drop_connection()
                return
            self._wake.wait(min(self._interval * 2**failures, RETRY_SECONDS) if failures else self._interval)
            self._wake.clear()

    def _note_failure(self, error: Exception, *, is_first: bool) -> None:
        is_of_database = isinstance(error, DatabaseError | psycopg.Error)
        self.problem = sentence(error) if is_of_database else str(error) or type(error).__name__
        self._metrics.intake.journal_failures.inc()
        self._drop_connection()
        if is_first:
            told = None if is_of_database else error
            log.warning("predictions stay in the journal for now: %s", self.problem, exc_info=told)

    def _move_and_count(self) -> None:
        try:
            self._move()
        finally:
            self._metrics.intake.journal_bytes.set(self.journal.backlog_bytes())

    def _move(self) -> None:
        self.journal.rotate()
        for path in self.journal.closed_files():
            self._count(move_file(self._connection(), path))
        if monotonic() - self._adopted >= ADOPT_INTERVAL:
            self._adopt(self.journal.root)
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
