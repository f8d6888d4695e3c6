"""Gauges that a thread of each worker sets now and then: records that wait there, and counts in the database.

Each worker sets the records that wait in it. The database is read by one worker of a service, which
holds a lock on a file, so that it is read once however many workers there are.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from math import nan
from pathlib import Path
from time import monotonic
from typing import Any, get_args

import psycopg

from configs.schema import UseCase
from models.production.live_quality import QualityNow, quality_now
from service.answers.slot import Slot
from service.errors import DatabaseAway
from service.metrics import Metrics
from service.storage.database import Database
from store.drift.checks import DriftCheck, last_check
from store.feedback.fence_counts import count_beyond
from store.feedback.rows import count_feedback
from store.jobs import count_jobs
from store.predictions.shadow_answers import ShadowStanding, find_standing
from store.runs.rows import count_runs
from store.runs.workers import has_worker
from store.service_replicas import State, read_replicas

WAITING_SECONDS = 2.0
"""Between two settings of the records that wait."""
DATABASE_SECONDS = 15.0
"""Between two reads of the database."""

log = logging.getLogger("ratchet.service")


class Gauges:
    """The thread that sets the gauges of one worker.

    Args:
        lock_file: shared by all workers of the service.
    """

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
        self._read_at = -DATABASE_SECONDS
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gauges", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """End the thread, after `timeout` seconds at most, and leave the database to another worker."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def set_waiting(self) -> None:
        """Set how many records wait in this worker."""
        for name, slot in self._slots.items():
            pipeline = slot.answering
            waiting = 0 if pipeline is None else pipeline.batcher.waiting
            self._metrics.answers.waiting.labels(name).set(waiting)

    def set_from_database(self) -> None:
        """Set what is counted in the database: whether flows have a worker, and numbers of every use case.

        Raises:
            DatabaseAway: it does not answer; the gauges stay as they were.
        """
        self._metrics.stored.flow_worker.set(self._database.read(has_worker))
        states = Counter(one.state for one in self._database.read(read_replicas))
        for state in get_args(State):
            self._metrics.stored.servers.labels(state).set(states[state])
        for use_case in self._use_cases.values():
            self._database.read(partial(self._set_numbers, use_case))

    def _run(self) -> None:
        while not self._stopping.wait(WAITING_SECONDS):
            try:
                self._set()
            except (DatabaseAway, psycopg.Error) as error:
                log.warning("gauges of the database stay as they were: %s", error)
            except Exception:  # a full disk, say
                log.exception("gauges stay as they were")

    def _set(self) -> None:
        self.set_waiting()
        if monotonic() - self._read_at < DATABASE_SECONDS or not self._holds_lock():
            return
        self._read_at = monotonic()
        self.set_from_database()

    def _holds_lock(self) -> bool:
        """Take the lock if no worker has it; a worker that dies gives it up."""
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

    def _set_numbers(self, use_case: UseCase, conn: psycopg.Connection[Any]) -> None:
        name, metrics = use_case.name, self._metrics.stored
        metrics.jobs_pending.labels(name).set(count_jobs(conn, name))
        metrics.labels.labels(name).set(count_feedback(conn, name))
        for status, count in count_runs(conn, name).items():
            metrics.runs.labels(name, status).set(count)
        self._set_quality(name, quality_now(conn, use_case))
        if use_case.serving.shadow is not None:
            self._set_shadow(name, find_standing(conn, name))
        beyond = count_beyond(conn, use_case)
        for what in () if beyond is None else ("kept", "quarantined", "left_out", "cut"):
            metrics.beyond_fence.labels(name, what).set(_or_nan(getattr(beyond, what)))
        check = last_check(conn, name)
        if check is not None:
            self._set_drift(name, check)

    def _set_quality(self, name: str, quality: QualityNow) -> None:
        metrics, window = self._metrics.stored, quality.window
        metrics.live_labels.labels(name).set(0 if window is None else window.counts.labelled)
        metrics.live_accuracy.labels(name).set(_or_nan(quality.accuracy))
        metrics.live_share.labels(name).set(_or_nan(quality.coverage.share))
        lag = None if window is None else window.lag.total_seconds()
        metrics.feedback_lag.labels(name).set(_or_nan(lag))
        metrics.promised_accuracy.labels(name).set(_or_nan(quality.at_promotion))

    def _set_shadow(self, name: str, standing: ShadowStanding | None) -> None:
        if standing is None:
            return
        same = standing.answered - standing.failed - standing.differing
        counts = {"same": same, "differing": standing.differing, "failed": standing.failed}
        for outcome, count in (counts | {"left_out": standing.left_out}).items():
            self._metrics.stored.shadow_records.labels(name, outcome).set(count)

    def _set_drift(self, name: str, check: DriftCheck) -> None:
        age = datetime.now(UTC) - check.at
        self._metrics.stored.drift_age.labels(name).set(age.total_seconds())
        self._metrics.stored.drift_found.labels(name).set(check.verdict == "drift")
        if check.share is not None:
            self._metrics.stored.drift_share.labels(name).set(check.share)


def _or_nan(value: float | None) -> float:
    """A number for Prometheus, where NaN stands for unknown."""
    return nan if value is None else value
