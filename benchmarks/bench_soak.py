"""Half of what the service can answer, for a long time, with a promotion each minute: `make bench-soak`.

One worker is measured at its capacity first. Then half of that arrives by the clock, from callers who do not
wait for one another, and each minute production moves to another version, which the worker loads anew. Memory
of each process and latency are told minute by minute. Real PostgreSQL, real MLflow, real service. Ends with
an error when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.bench_swap import Stage, by_promotion, set_up, worker_processes
from benchmarks.bench_swap_memory import swaps_taken_up
from benchmarks.harness import model
from benchmarks.harness.load import Plan, put_load
from benchmarks.harness.open_loop import OpenLoad, OpenOutcome, OpenPlan
from benchmarks.harness.targets import Target, show_targets
from configs.settings import CHECKOUT

RESULTS = CHECKOUT / "benchmarks" / "results" / "soak.json"
CONNECTIONS = 2048
"""More than a second of requests: callers who do not wait find one free also after a stall."""
START_MINUTES = 3
"""The first minutes are what the others are held to in latency; memory has settled after them."""
MEMORY_MINUTES = 5
"""Memory goes up and down with the versions that are loaded and thrown away: the median of so many tells."""
MB_KEPT = 15.0
"""More memory than this, of one process, is growth."""
TIMES_P99 = 1.5


@dataclass(frozen=True)
class Soak:
    """The whole measurement."""

    records: int
    capacity: float
    rate: float
    promotions: int
    taken_up: int
    memory: list[dict[str, float]]
    """Name of a process to MB, at the end of each minute."""
    outcome: OpenOutcome

    @property
    def failed(self) -> int:
        """Requests that were not answered with 200."""
        return self.outcome.due - self.outcome.statuses.get("200", 0)


def main() -> None:
    """Measure, print, write and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--minutes", type=int, default=20)
    parser.add_argument("--records", type=int, default=4, help="in each request")
    options = parser.parse_args()
    console = Console(width=120)
    artifacts = model.versions()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stage = set_up(folder, artifacts, stack, workers=1)
        soak = measure(stage, options.minutes, options.records, console)
    targets = judge(soak)
    show(console, soak)
    show_targets(console, targets)
    RESULTS.parent.mkdir(exist_ok=True)
    content = {**asdict(soak), "targets": [target.as_dict() for target in targets], "cores": os.cpu_count()}
    RESULTS.write_text(json.dumps(content, indent=1))
    console.print(f"written to {RESULTS.relative_to(CHECKOUT)}")
    sys.exit(0 if all(target.met for target in targets) else 1)


def measure(stage: Stage, minutes: int, records: int, console: Console) -> Soak:
    """At capacity, then the soak."""
    peer, images = stage.service.peer, model.digit_images(8 * records)
    bodies = [peer.body(images[at : at + records]) for at in range(0, len(images), records)]
    busy = put_load(Plan(peer.port, peer.path, bodies, 32, 8.0, warmup=2.0))
    rate = busy.rate / 2
    console.print(
        f"capacity: {busy.rate:,.0f} requests/s of {records} records; {rate:,.0f} for {minutes} minutes"
    )
    plan = Plan(peer.port, peer.path, bodies, CONNECTIONS, minutes * 60.0)
    order, memory = cycle([2, 3, 4, 1]), []
    with OpenLoad(OpenPlan(plan, rate)) as load:
        begun = time.monotonic()
        for minute in range(1, minutes + 1):
            time.sleep(max(0.0, begun + minute * 60 - 30 - time.monotonic()))
            by_promotion(stage, next(order))
            time.sleep(max(0.0, begun + minute * 60 - time.monotonic()))
            memory.append(resident(stage))
        outcome = load.wait()
    return Soak(records, busy.rate, rate, minutes, swaps_taken_up(stage), memory, outcome)


def resident(stage: Stage) -> dict[str, float]:
    """MB of the worker, of the processes that started it, and of MLflow."""
    parent = psutil.Process(stage.service.process.pid)
    worker = worker_processes(stage)[0]
    others = [one for one in [parent, *parent.children(recursive=True)] if one.pid != worker.pid]
    return {
        "worker": worker.memory_info().rss / 1e6,
        "its parents": sum(one.memory_info().rss for one in others) / 1e6,
        "MLflow": psutil.Process(stage.mlflow.process.pid).memory_info().rss / 1e6,
    }


def judge(soak: Soak) -> list[Target]:
    """Each target, what was measured, and whether it is met."""
    slices = soak.outcome.slices
    start = statistics.median(one.p99_ms for one in slices[:START_MINUTES])
    end = statistics.median(one.p99_ms for one in slices[-START_MINUTES:])
    growth = [
        Target(f"MB grown: {name}", grown(soak.memory, name), "at most", MB_KEPT, "MB")
        for name in soak.memory[0]
    ]
    return [
        Target("failed requests", soak.failed, "at most", 0, ""),
        Target("versions taken up, of those promoted", soak.taken_up / soak.promotions, "at least", 1),
        Target(
            f"p99 of the last {START_MINUTES} minutes, of the first ones'", end / start, "at most", TIMES_P99
        ),
        *growth,
    ]


def grown(memory: Sequence[Mapping[str, float]], name: str) -> float:
    """MB by which the last minutes are above the first ones after memory has settled, median by median."""
    settled = [one[name] for one in memory[min(START_MINUTES, len(memory)) - 1 :]]
    return statistics.median(settled[-MEMORY_MINUTES:]) - statistics.median(settled[:MEMORY_MINUTES])


def show(console: Console, soak: Soak) -> None:
    """Minute by minute."""
    names = list(soak.memory[0])
    table = Table(title=f"{soak.rate:,.0f} requests a second, half of capacity; a promotion each minute")
    for column in ("minute", "answered", "p50 ms", "p99 ms", *(f"{name} MB" for name in names)):
        table.add_column(column, justify="right")
    for number, (one, memory) in enumerate(zip(soak.outcome.slices, soak.memory, strict=True), start=1):
        table.add_row(
            str(number), f"{one.answered:,}", f"{one.p50_ms:.2f}", f"{one.p99_ms:.1f}",
            *(f"{memory[name]:.1f}" for name in names),
        )  # fmt: skip
    console.print(table)
    console.print(f"{soak.outcome.due:,} requests, {soak.failed} failed: {soak.outcome.statuses}")


if __name__ == "__main__":
    main()
