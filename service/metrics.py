"""What the service counts. BentoML's /metrics shows it beside its own, summed over workers.

Workers share their numbers through mapped files, where every change costs system calls: a tenth of the
requests a second. So requests are collected, and written down a few times a second.
"""

from __future__ import annotations

import asyncio
import os
import re
from bisect import bisect_left
from collections import Counter as Tally
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, multiprocess

SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024)
WRITE_SECONDS = 0.25
"""How old a request may be before /metrics shows it."""


class BulkHistogram(Histogram):
    """A histogram that takes many values with few changes."""

    def observe_all(self, values: Sequence[float]) -> None:
        """The same as `observe` of each."""
        self._sum.inc(sum(values))
        for place, count in Tally(bisect_left(self._upper_bounds, value) for value in values).items():
            self._buckets[place].inc(count)


class RequestLog:
    """The requests of one route; used from one event loop."""

    def __init__(self, count: Callable[[int], Counter], seconds: BulkHistogram) -> None:
        self._count = count
        self._seconds = seconds
        self._counters: dict[int, Counter] = {}
        self._statuses: list[int] = []
        self._took: list[float] = []

    def observe(self, status: int, took: float) -> None:
        """Note one request."""
        if not self._took:
            asyncio.get_running_loop().call_later(WRITE_SECONDS, self.write)
        self._statuses.append(status)
        self._took.append(took)

    def write(self) -> None:
        """Write down what was noted."""
        statuses, took = self._statuses, self._took
        self._statuses, self._took = [], []
        for status, number in Tally(statuses).items():
            if status not in self._counters:
                self._counters[status] = self._count(status)
            self._counters[status].inc(number)
        self._seconds.observe_all(took)


class BatchLog:
    """The batches of one use case; used from any thread.

    Args:
        loop: writes them down.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, rows: BulkHistogram) -> None:
        self._loop = loop
        self._histogram = rows
        self._rows: deque[int] = deque()
        self._due = False

    def observe(self, rows: int) -> None:
        """Note one batch."""
        self._rows.append(rows)
        if not self._due:
            self._due = True
            with suppress(RuntimeError):  # the loop has ended, and nobody asks any more
                self._loop.call_soon_threadsafe(self._loop.call_later, WRITE_SECONDS, self.write)

    def write(self) -> None:
        """Write down what was noted."""
        self._due = False  # first, so that whatever is noted from now on is written down, now or later
        self._histogram.observe_all([self._rows.popleft() for _ in range(len(self._rows))])


class AnswerMetrics:
    """Requests, and the batches that they are answered in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "ratchet_requests", "Requests answered.", ["use_case", "route", "status"], registry=registry
        )
        self.seconds = BulkHistogram(
            "ratchet_request_seconds",
            "From the head of a request to its answer.",
            ["use_case", "route"],
            buckets=SECONDS,
            registry=registry,
        )
        self.batch_rows = BulkHistogram(
            "ratchet_batch_rows",
            "Records in one call of the model.",
            ["use_case"],
            buckets=ROWS,
            registry=registry,
        )
        self.waiting = Gauge(
            "ratchet_waiting_records",
            "Records that wait for the model.",
            ["use_case"],
            multiprocess_mode="livesum",
            registry=registry,
        )

    def observer(self, use_case: str, route: str) -> Callable[[int, float], None]:
        """Counts the requests of one route: takes status and seconds."""
        return RequestLog(
            lambda status: self.requests.labels(use_case, route, str(status)),
            self.seconds.labels(use_case, route),
        ).observe


class SwapMetrics:
    """Which version serves, and changes of it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.version = Gauge(
            "ratchet_model_version",
            "Version that each worker serves.",
            ["use_case"],
            multiprocess_mode="liveall",
            registry=registry,
        )
        self.cut_off = Gauge(
            "ratchet_cut_off",
            "1 while the database does not hear this worker, so that promotions may not come here.",
            multiprocess_mode="liveall",
            registry=registry,
        )
        self.outcomes = Counter(
            "ratchet_swaps", "Versions taken up or refused.", ["use_case", "outcome"], registry=registry
        )
        self.seconds = Histogram(
            "ratchet_swap_seconds",
            "From the news of a version to serving it.",
            ["use_case"],
            buckets=SECONDS,
            registry=registry,
        )


class CanaryMetrics:
    """Which version is tried, and whose records it answers."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.version = Gauge(
            "ratchet_canary_version",
            "Version that each worker tries on a share of the requests; 0: none.",
            ["use_case"],
            multiprocess_mode="liveall",
            registry=registry,
        )
        self.records = Counter(
            "ratchet_canary_records",
            "Records of the canary's share by what answered them: `canary`, or production `in_its_place`.",
            ["use_case", "answered_by"],
            registry=registry,
        )


class IntakeMetrics:
    """What was sent to be kept, and the log on its way to the database."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.feedback = Counter(
            "ratchet_feedback",
            "Feedback items by what became of them.",
            ["use_case", "outcome"],
            registry=registry,
        )
        self.jobs = Counter(
            "ratchet_jobs",
            "Asynchronous requests for predictions by what became of them.",
            ["use_case", "outcome"],
            registry=registry,
        )
        self.journal_bytes = Gauge(
            "ratchet_journal_backlog_bytes",
            "Prediction log on disk, not in the database yet.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self.journal_rows = Counter("ratchet_journal_moved_rows", "Predictions stored.", registry=registry)
        self.journal_failures = Counter(
            "ratchet_journal_failures", "Attempts to store predictions that failed.", registry=registry
        )


class StoredMetrics:
    """What the database says, as the worker saw it that asked last."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.flow_worker = Gauge(
            "ratchet_flow_worker",
            "Whether a worker that runs flows is connected to the database.",
            multiprocess_mode="livemostrecent",
            registry=registry,
        )
        self.servers = Gauge(
            "ratchet_servers",
            "Servers of this database by `state`: serving, draining, silent.",
            ["state"],
            multiprocess_mode="livemostrecent",
            registry=registry,
        )
        stored = partial(_stored, registry)
        self.jobs_pending = stored("ratchet_jobs_pending", "Asynchronous requests that wait.")
        self.labels = stored("ratchet_labels", "Labelled rows in the database.")
        self.beyond_fence = stored(
            "ratchet_beyond_fence", "Rows, or values that were cut, beyond production's fence.", "what"
        )
        self.runs = stored("ratchet_retrain_runs", "Retrains by how they ended.", "status")
        self.live_accuracy = stored(
            "ratchet_live_accuracy",
            "Share of right answers among the newest labelled ones of production; micro-F1 of label sets.",
        )
        self.live_labels = stored("ratchet_live_labelled", "Labelled answers behind ratchet_live_accuracy.")
        self.live_share = stored(
            "ratchet_live_labelled_share", "Share of the answers of their time that these are."
        )
        self.promised_accuracy = stored(
            "ratchet_accuracy_at_promotion", "The same of production on held-out rows when it was judged."
        )
        self.feedback_lag = stored(
            "ratchet_feedback_lag_seconds", "Median time from an answer to its label, of the newest labels."
        )
        self.shadow_records = stored(
            "ratchet_shadow_records",
            "Live records by what the shadow version made of them, since it is asked.",
            "outcome",
        )
        self.drift_share = stored("ratchet_drift_share", "Share of columns that moved, by the last check.")
        self.drift_found = stored("ratchet_drift_found", "Whether the last check found drift.")
        self.drift_age = stored("ratchet_drift_check_age_seconds", "Time since the last drift check.")


class Metrics:
    """All metrics of one worker."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.answers = AnswerMetrics(registry)
        self.swaps = SwapMetrics(registry)
        self.canary = CanaryMetrics(registry)
        self.intake = IntakeMetrics(registry)
        self.stored = StoredMetrics(registry)


def _stored(registry: CollectorRegistry, name: str, about: str, *labels: str) -> Gauge:
    """A gauge by use case, and by `labels` where they are named."""
    return Gauge(name, about, ["use_case", *labels], multiprocess_mode="livemostrecent", registry=registry)


def forget_dead_workers() -> None:
    """Drop the live gauges of workers that were killed and could not do it themselves."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if not folder:
        return
    pids = {
        match[1]
        for path in Path(folder).glob("gauge_live*.db")
        if (match := re.search(r"_(\d+)\.db$", path.name))
    }
    for pid in pids:
        if not Path(f"/proc/{pid}").exists():
            multiprocess.mark_process_dead(int(pid), folder)  # type: ignore[no-untyped-call]
