"""Overload: four times as much as one worker can answer, `make bench-overload`.

Finds what the worker answers at most, then offers a multiple of that by the clock, from callers who do not
wait for one another, and watches: answers a second, refusals, /health, memory, and how soon a lone caller is
answered as before once the load is gone. Ends with an error when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from rich.console import Console

from benchmarks.harness import model, recipes
from benchmarks.harness.load import Plan, put_load
from benchmarks.harness.open_loop import OpenLoad, OpenOutcome, OpenPlan
from benchmarks.harness.servers import Running
from benchmarks.harness.targets import Target, show_targets
from configs.settings import CHECKOUT

RESULTS = CHECKOUT / "benchmarks" / "results" / "overload.json"
CONNECTIONS = 1500
LOOK_SECONDS = 0.5
SETTLED_SECONDS = 5.0
"""After so long under load the memory should not grow any more."""
WINDOW_SECONDS = 0.25
AFTER_SECONDS = 5.0
AS_BEFORE = 1.5
"""A lone caller is answered as before when the median of a window is at most so many times the idle one."""


@dataclass
class Observations:
    """Health and memory of the service under the load."""

    health_seconds: list[float] = field(default_factory=list)
    health_failures: list[str] = field(default_factory=list)
    resident_mb: list[tuple[float, float]] = field(default_factory=list)
    """Seconds since the beginning, and memory."""


@dataclass(frozen=True)
class Numbers:
    """The whole measurement."""

    records: int
    capacity: float
    offered: float
    seconds: float
    idle_p50_ms: float
    recovered_seconds: float
    after_ms: list[float]
    """Median latency of a lone caller in each quarter of a second after the load."""
    outcome: OpenOutcome
    watched: Observations

    @property
    def goodput(self) -> float:
        """Answers a second, the first second aside, in which callers connect."""
        return statistics.fmean(self.outcome.goodput[1:])


def main() -> None:
    """Measure, print, write and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=int, default=60, help="of overload")
    parser.add_argument("--times", type=float, default=4.0, help="the capacity")
    parser.add_argument("--records", type=int, default=16, help="in each request")
    options = parser.parse_args()
    console = Console(width=120)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        postgres, home = recipes.ratchet_home(folder, [model.versions()[0]], "digits")
        stack.callback(postgres.stop)
        service = Running(recipes.ratchet(home, postgres.url), folder, model.digit_images(1))
        stack.callback(service.stop)
        numbers = measure(service, options.records, options.times, options.seconds, console)
    targets = judge(numbers, options.times)
    show(console, numbers)
    show_targets(console, targets)
    RESULTS.parent.mkdir(exist_ok=True)
    content = {
        **asdict(numbers),
        "targets": [target.as_dict() for target in targets],
        "cores": os.cpu_count(),
    }
    RESULTS.write_text(json.dumps(content, indent=1))
    sys.exit(0 if all(target.met for target in targets) else 1)


def measure(service: Running, records: int, times: float, seconds: int, console: Console) -> Numbers:
    """Idle, at capacity, over it, and idle again."""
    peer = service.peer
    images = model.digit_images(8 * records)
    bodies = [peer.body(images[at : at + records]) for at in range(0, len(images), records)]
    idle = statistics.median(took for _, took in lone_caller(peer.port, peer.path, bodies, 2.0))
    busy = put_load(Plan(peer.port, peer.path, bodies, 32, 8.0, warmup=2.0))
    console.print(f"capacity: {busy.rate:,.0f} requests/s of {records} records; idle p50 {idle:.2f} ms")
    observations = Observations()
    over = Plan(peer.port, peer.path, bodies, CONNECTIONS, seconds)
    with OpenLoad(OpenPlan(over, times * busy.rate)) as load:
        done = threading.Event()
        watcher = threading.Thread(target=watch, args=(service, done, observations))
        watcher.start()
        try:
            time.sleep(seconds)
            done.set()
            after = lone_caller(peer.port, peer.path, bodies, AFTER_SECONDS)
            outcome = load.wait()
        finally:
            done.set()
            watcher.join()
    return Numbers(
        records,
        busy.rate,
        outcome.due / seconds,
        seconds,
        idle,
        recovery(after, idle),
        medians(after),
        outcome,
        observations,
    )


def watch(service: Running, done: threading.Event, observations: Observations) -> None:
    """Ask for health and look at the memory until the load is gone."""
    began = time.monotonic()
    while not done.wait(LOOK_SECONDS):
        started = time.monotonic()
        try:
            connection = HTTPConnection("127.0.0.1", service.peer.port, timeout=10)
            connection.request("GET", "/health")
            status = connection.getresponse().status
            connection.close()
            if status != 200:
                observations.health_failures.append(str(status))
        except (OSError, HTTPException) as error:
            observations.health_failures.append(repr(error))
        observations.health_seconds.append(time.monotonic() - started)
        observations.resident_mb.append((started - began, service.memory().resident))


def lone_caller(port: int, path: str, bodies: Sequence[str], seconds: float) -> list[tuple[float, float]]:
    """What one caller sees who rests 5 ms after each answer: seconds since the beginning, and milliseconds.

    A refusal counts as an answer that never came.
    """
    latencies: list[tuple[float, float]] = []
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    began = time.monotonic()
    while (now := time.monotonic()) < began + seconds:
        body = bodies[len(latencies) % len(bodies)]
        connection.request("POST", path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        took = (time.monotonic() - now) * 1e3 if answer.status == 200 else float("inf")
        latencies.append((now - began, took))
        time.sleep(0.005)
    connection.close()
    return latencies


def recovery(latencies: Sequence[tuple[float, float]], idle_ms: float) -> float:
    """Seconds until a lone caller is answered as before, and stays so; infinite: not at all."""
    windows = dict(enumerate(medians(latencies)))
    late = [number for number, took in windows.items() if took > AS_BEFORE * idle_ms]
    if max(windows) in late:
        return float("inf")
    return (max(late) + 1) * WINDOW_SECONDS if late else 0.0


def medians(latencies: Sequence[tuple[float, float]]) -> list[float]:
    """Median latency in each window; infinite where nothing was answered."""
    windows: dict[int, list[float]] = {}
    for second, took in latencies:
        windows.setdefault(int(second / WINDOW_SECONDS), []).append(took)
    return [statistics.median(windows.get(number, [float("inf")])) for number in range(max(windows) + 1)]


def judge(numbers: Numbers, times: float) -> list[Target]:
    """Each target, and what was measured."""
    outcome, observations = numbers.outcome, numbers.watched
    strange = sum(count for status, count in outcome.statuses.items() if status not in ("200", "429", "503"))
    settled = [size for second, size in observations.resident_mb if second >= SETTLED_SECONDS]
    sent = (outcome.due - outcome.not_sent) / numbers.seconds
    quarter = max(1, len(settled) // 4)
    growth = (
        statistics.fmean(settled[-quarter:]) / statistics.fmean(settled[:quarter])
        if settled
        else float("nan")
    )
    slowest = max(observations.health_seconds, default=float("inf"))
    return [
        Target("requests sent, of the capacity", sent / numbers.capacity, "at least", 0.97 * times),
        Target(
            "answers a second under overload, of the capacity",
            numbers.goodput / numbers.capacity,
            "at least",
            0.8,
        ),
        Target("answered otherwise than 200, 429 or 503", strange, "at most", 0, ""),
        Target("refused without Retry-After", outcome.without_retry_after, "at most", 0, ""),
        Target("/health not answered", len(observations.health_failures), "at most", 0, ""),
        Target("slowest /health", slowest, "at most", 2.0, "s"),
        Target("memory at the end, of that after 5 s", growth, "at most", 1.1),
        Target("a lone caller is answered as before after", numbers.recovered_seconds, "at most", 2.0, "s"),
    ]


def show(console: Console, numbers: Numbers) -> None:
    """What happened, in words."""
    outcome = numbers.outcome
    console.print(
        f"offered {numbers.offered:,.0f} requests/s for {numbers.seconds} s over {outcome.connections} "
        f"connections; answered {numbers.goodput:,.0f}/s "
        f"(p50 {outcome.p50_ms:.0f} ms, p99 {outcome.p99_ms:.0f} ms)"
    )
    console.print("after it, ms: " + " ".join(f"{took:.1f}" for took in numbers.after_ms))
    console.print(f"statuses: {outcome.statuses}; not sent: {outcome.not_sent}")
    console.print(
        f"least in a second: {min(outcome.goodput[1:])}; the client used {outcome.client_cpu:.0%} of a core"
    )


if __name__ == "__main__":
    main()
