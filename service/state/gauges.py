"""Numbers that are read now and then: what waits in this worker, and what the database says.

No request touches them. What waits is each worker's own; the database is asked by one worker of a
service, the one that holds a lock on a file, so that it is asked once however many there are.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from math import nan
from pathlib import Path
from time import monotonic
from typing import Any

import psycopg

from configs.schema import UseCase
from models.production.live_quality import quality_now
from service.answers.slot import Slot
from service.errors import DatabaseAway
from service.metrics import Metrics
from service.storage.database import Database
from store.drift.checks import last_check
from store.feedback.rows import count_feedback
from store.jobs import count_jobs
from store.runs.rows import count_runs
from store.runs.workers import has_worker

LOOK_SECONDS = 2.0
"""Between two looks at what waits here."""
ASK_SECONDS = 15.0
"""Between two looks at the database."""

log = logging.getLogger("ratchet.service")


class Gauges:
    """The thread that keeps the gauges of one worker."""

    def __init__(
        self,
        use_cases: Mapping[str, UseCase],
        slots: Mapping[str, Slot],
        database: Database,
        metrics: Metrics,
        lock_file: Path,
    ) -> None:
        self._use_cases = use_cases
        self._slots = slots
        self._database = database
        self._metrics = metrics
        self._lock_file = lock_file
        self._lock: int | None = None
        self._asked = -ASK_SECONDS
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gauges", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """End, and let another worker ask the database."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def look(self) -> None:
        """Set what waits in this worker."""
        for name, slot in self._slots.items():
            pipeline = slot.answering
            waiting = 0 if pipeline is None else pipeline.batcher.waiting
            self._metrics.answers.waiting.labels(name).set(waiting)

    def ask(self) -> None:
        """Set what the database says, of the worker of flows and of every use case.

        Raises:
            DatabaseAway: it does not answer; the gauges stay as they were.
        """
        self._metrics.stored.flow_worker.set(self._database.run(has_worker))
        for use_case in self._use_cases.values():
            self._database.run(partial(self._ask, use_case))

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            self.look()
            if monotonic() - self._asked < ASK_SECONDS or not self._is_ours():
                continue
            self._asked = monotonic()
            try:
                self.ask()
            except (DatabaseAway, psycopg.Error) as error:
                log.warning("gauges of the database stay as they were: %s", error)

    def _is_ours(self) -> bool:
        """Whether this worker is the one that asks; one that dies lets go of the lock."""
        if self._lock is not None:
            return True
        self._lock_file.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._lock = file
        return True

    def _ask(self, use_case: UseCase, conn: psycopg.Connection[Any]) -> None:
        name, stored = use_case.name, self._metrics.stored
        quality, check = quality_now(conn, use_case), last_check(conn, name)
        stored.jobs_pending.labels(name).set(count_jobs(conn, name))
        stored.labels.labels(name).set(count_feedback(conn, name))
        for status, count in count_runs(conn, name).items():
            stored.runs.labels(name, status).set(count)
        window = quality.window
        stored.live_labels.labels(name).set(0 if window is None else window.counts.labelled)
        stored.live_accuracy.labels(name).set(_known(None if window is None else window.counts.accuracy))
        stored.feedback_lag.labels(name).set(_known(None if window is None else window.lag.total_seconds()))
        stored.promised_accuracy.labels(name).set(_known(quality.at_promotion))
        if check is not None:
            age = datetime.now(UTC) - check.at
            stored.drift_age.labels(name).set(age.total_seconds())
            stored.drift_found.labels(name).set(check.verdict == "drift")
            if check.share is not None:
                stored.drift_share.labels(name).set(check.share)


def _known(value: float | None) -> float:
    """A number for Prometheus, which calls what is not known NaN."""
    return nan if value is None else value
