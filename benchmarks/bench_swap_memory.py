"""A thousand swaps in one worker: `make bench-swap-memory`.

Under a light load production moves, by Ratchet's own promotions, among four versions, each of which the
worker loads anew. After every hundred moves: memory, threads and open files of the worker, and the latency
meanwhile.
Real PostgreSQL, real MLflow, real service. Ends with an error when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from urllib.request import urlopen

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.bench_swap import USE_CASE, Stage, by_promotion, set_up, worker_processes
from benchmarks.harness import model
from benchmarks.harness.load import LoadProcess, Outcome, Plan
from benchmarks.harness.targets import Target, show_targets
from configs.settings import CHECKOUT

RESULTS = CHECKOUT / "benchmarks" / "results" / "swap_memory.json"
CONNECTIONS = 4
PAUSE_SECONDS = 0.02
"""Between two requests of a connection."""
QUIET_SECONDS = 5.0
LONGEST_SECONDS = 3600.0
SETTLE_SECONDS = 30.0
"""The worker has that long to take up the last version."""
KB_A_SWAP = 10.0
"""More than this, for each swap after the first block, is growth."""


@dataclass(frozen=True)
class Reading:
    """The worker after so many swaps, and what callers met since the reading before."""

    swaps: int
    resident_mb: float
    threads: int
    files: int
    requests: int
    failed: int
    p50_ms: float
    p99_ms: float
    max_ms: float


def main() -> None:
    """Measure, print, write and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--swaps", type=int, default=1000)
    parser.add_argument("--every", type=int, default=100, help="swaps between two readings")
    options = parser.parse_args()
    console = Console(width=120)
    artifacts = model.versions()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stage = set_up(folder, artifacts, stack, workers=1)
        console.print("PostgreSQL, MLflow and one worker are up")
        readings = []
        for reading in measure(stage, options.swaps, options.every):
            readings.append(reading)
            console.print(
                f"{reading.swaps:5} swaps: {reading.resident_mb:.1f} MB, p99 {reading.p99_ms:.1f} ms, "
                f"{reading.failed} failed"
            )
        taken_up = swaps_taken_up(stage)
    targets = judge(readings, taken_up)
    show(console, readings)
    show_targets(console, targets)
    RESULTS.parent.mkdir(exist_ok=True)
    content = {
        "readings": [asdict(reading) for reading in readings],
        "targets": [target.as_dict() for target in targets],
        "load": {"connections": CONNECTIONS, "pause": PAUSE_SECONDS},
        "cores": os.cpu_count(),
    }
    RESULTS.write_text(json.dumps(content, indent=1))
    console.print(f"written to {RESULTS.relative_to(CHECKOUT)}")
    sys.exit(0 if all(target.met for target in targets) else 1)


def measure(stage: Stage, swaps: int, every: int) -> Iterator[Reading]:
    """A reading without swaps, then one after every so many."""
    plan = plan_for(stage)
    worker = worker_processes(stage)[0]
    with LoadProcess(plan) as load:
        time.sleep(QUIET_SECONDS)
        yield read(worker, 0, load.end())
    order = cycle([2, 3, 4, 1])
    for done in range(0, swaps, every):
        with LoadProcess(plan) as load:
            time.sleep(1.0)
            for version in islice(order, every):
                by_promotion(stage, version)
            wait_for(stage, done + every)
            yield read(worker, done + every, load.end())


def plan_for(stage: Stage) -> Plan:
    """A light load that lasts until it is ended."""
    bodies = [stage.service.peer.body([image]) for image in model.digit_images(16)]
    return Plan(
        stage.service.peer.port, stage.service.peer.path, bodies, CONNECTIONS, LONGEST_SECONDS,
        pause=PAUSE_SECONDS,
    )  # fmt: skip


def wait_for(stage: Stage, swaps: int) -> None:
    """Wait until the worker has taken up so many versions, as far as it does in time."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while swaps_taken_up(stage) < swaps and time.monotonic() < deadline:
        time.sleep(0.1)


def swaps_taken_up(stage: Stage) -> int:
    """Versions that the worker has changed over to, beside the one that it started with."""
    with urlopen(f"http://127.0.0.1:{stage.service.peer.port}/metrics", timeout=10) as response:
        text = response.read().decode()
    pattern = (
        rf'^ratchet_swaps_total\{{(?=[^}}]*use_case="{USE_CASE}")(?=[^}}]*outcome="taken_up")[^}}]*\}} (\S+)'
    )
    return int(sum(float(value) for value in re.findall(pattern, text, re.MULTILINE))) - 1


def read(worker: psutil.Process, swaps: int, outcome: Outcome) -> Reading:
    """The worker as it is now."""
    with worker.oneshot():
        resident, threads, files = worker.memory_info().rss / 1e6, worker.num_threads(), worker.num_fds()
    return Reading(
        swaps, resident, threads, files, outcome.requests, outcome.failed, outcome.p50_ms, outcome.p99_ms,
        outcome.max_ms,
    )  # fmt: skip


def judge(readings: Sequence[Reading], taken_up: int) -> list[Target]:
    """Each target, what was measured, and whether it is met."""
    settled, last = readings[1], readings[-1]
    swaps = max(1, last.swaps - settled.swaps)
    growth = (last.resident_mb - settled.resident_mb) * 1e3 / swaps
    return [
        Target("failed requests", sum(reading.failed for reading in readings), "at most", 0, ""),
        Target("versions taken up, of those promoted", taken_up / last.swaps, "at least", 1),
        Target("memory kept, for each swap after the first block", growth, "at most", KB_A_SWAP, "KB"),
        Target("threads more than after the first block", last.threads - settled.threads, "at most", 0, ""),
        Target("open files more than after the first block", last.files - settled.files, "at most", 2, ""),
        Target(
            "p99 of the last block, of the first block's", last.p99_ms / settled.p99_ms, "at most", 1.5
        ),
    ]  # fmt: skip


def show(console: Console, readings: Sequence[Reading]) -> None:
    """All readings."""
    table = Table(title="Swaps in one worker")
    for column in ("swaps", "MB", "threads", "files", "requests", "failed", "p50 ms", "p99 ms", "max ms"):
        table.add_column(column, justify="right")
    for one in readings:
        table.add_row(
            f"{one.swaps:,}", f"{one.resident_mb:.1f}", str(one.threads), str(one.files), f"{one.requests:,}",
            str(one.failed), f"{one.p50_ms:.2f}", f"{one.p99_ms:.1f}", f"{one.max_ms:.1f}",
        )  # fmt: skip
    console.print(table)


if __name__ == "__main__":
    main()
