"""What the service counts. BentoML's /metrics shows it beside its own, summed over workers."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, multiprocess

SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024)


class Metrics:
    """All metrics of one worker."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.requests = Counter(
            "ratchet_requests", "Requests answered.", ["use_case", "route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "ratchet_request_seconds",
            "From the head of a request to its answer.",
            ["use_case", "route"],
            buckets=SECONDS,
            registry=registry,
        )
        self.batch_rows = Histogram(
            "ratchet_batch_rows",
            "Records in one call of the model.",
            ["use_case"],
            buckets=ROWS,
            registry=registry,
        )
        self.version = Gauge(
            "ratchet_model_version",
            "Version that each worker serves.",
            ["use_case"],
            multiprocess_mode="liveall",
            registry=registry,
        )
        self.swaps = Counter(
            "ratchet_swaps", "Versions taken up or refused.", ["use_case", "outcome"], registry=registry
        )
        self.swap_seconds = Histogram(
            "ratchet_swap_seconds",
            "From the news of a version to serving it.",
            ["use_case"],
            buckets=SECONDS,
            registry=registry,
        )
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

    def observer(self, use_case: str, route: str) -> Callable[[int, float], None]:
        """Counts the requests of one route: takes status and seconds."""
        seconds = self.seconds.labels(use_case, route)
        by_status: dict[int, Counter] = {}

        def observe(status: int, took: float) -> None:
            counter = by_status.get(status)
            if counter is None:
                counter = by_status[status] = self.requests.labels(use_case, route, str(status))
            counter.inc()
            seconds.observe(took)

        return observe


def forget_dead_workers() -> None:
    """Drop the live gauges of workers that were killed and could not do it themselves."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if not folder:
        return
    found = {
        match[1]
        for path in Path(folder).glob("gauge_live*.db")
        if (match := re.search(r"_(\d+)\.db$", path.name))
    }
    for pid in found:
        if not Path(f"/proc/{pid}").exists():
            multiprocess.mark_process_dead(int(pid), folder)  # type: ignore[no-untyped-call]
