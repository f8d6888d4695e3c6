"""Callers while a large retrain goes on beside the service: latency with and without, in turn.

The retrain is one of the worker of a whole stack (`flow_run.py`), or with `--neighbour` something heavier
(`benchmarks.hot_path.neighbour`): it computes on all cores, and writes and syncs gigabytes on the disk of the
home, started as the worker starts a run, behind the service, or with `--equal` as any other process. Requests
leave by the clock; latency counts from when each was due. A handler that checks and logs nothing stands
beside, in turn: by how much its latency grows tells what the machine does to any server.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Literal

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.harness.load import Plan
from benchmarks.harness.model import as_json
from benchmarks.harness.open_loop import OpenLoad, OpenOutcome, OpenPlan
from benchmarks.harness.peer_recipes import makers
from benchmarks.harness.recipes import BARE, RATCHET
from benchmarks.harness.servers import Peer, Running
from benchmarks.harness.targets import Target, show_targets
from benchmarks.hot_path import flow_run
from benchmarks.hot_path.records import PICTURE, artifacts, requests_of
from benchmarks.hot_path.service import DIFFERENT, MeasuredService
from configs.settings import CHECKOUT

CONNECTIONS = 64
WARM_SECONDS = 2.0
MOST_RATIO = 3.0
"""Of p99.9 beside a retrain to that without."""


@dataclass(frozen=True)
class Round:
    """Latency of one stretch, in ms."""

    server: str
    beside: bool
    p50: float
    p99: float
    p999: float
    most: float
    failed: int


Neighbour = Literal["none", "behind", "equal"]
Beside = Callable[[], AbstractContextManager[None]]
"""A retrain is at work while it lasts."""


def measure(
    console: Console,
    kind: str,
    rate: float,
    seconds: float,
    rounds: int,
    neighbour: Neighbour,
) -> bool:
    """Measure, print and judge; whether the target is met.

    Args:
        kind: of the records; beside a flow run it is `flow_run.KIND`.
        neighbour: where a process stands that is in the place of a flow run of the worker.
    """
    with ExitStack() as stack:
        build = CHECKOUT / "build"  # on the disk of the checkout, as what is temporary may be in memory
        build.mkdir(exist_ok=True)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=build)))
        beside: Beside
        if neighbour != "none":
            ours = MeasuredService(RATCHET, folder / "ours", stack).peer
            beside = partial(computing, folder, equal=neighbour == "equal")
        else:
            kind = flow_run.KIND
            ours, beside = stack.enter_context(flow_run.served(folder))
        ours = replace(ours, path=f"/v1/{kind}/predict")
        bare = makers(kind, artifacts()[kind], folder)[BARE]()
        (probe,) = requests_of(kind, 1)
        stack.callback(Running(bare, folder, [probe["image"] if kind == PICTURE else probe]).stop)
        found: list[Round] = []
        for number in range(rounds):
            servers = (ours, bare) if number % 2 == 0 else (bare, ours)
            order = (False, True) if number % 2 == 0 else (True, False)
            for is_beside, server in product(order, servers):
                with beside() if is_beside else nullcontext():
                    time.sleep(WARM_SECONDS)
                    found.append(read(server.name, is_beside, load(server, kind, rate, seconds)))
    show(console, found)
    grown = {
        name: middle(found, name, "p999", beside=True) / middle(found, name, "p999", beside=False)
        for name in (RATCHET, BARE)
    }
    console.print(f"p99.9 of the {BARE} grows {grown[BARE]:.1f} times: what the machine does by itself")
    target = Target("p99.9 beside a retrain, of that without", grown[RATCHET], "at most", MOST_RATIO)
    show_targets(console, [target])
    return target.met


@contextmanager
def computing(folder: Path, *, equal: bool) -> Iterator[None]:
    """The neighbour, for a while."""
    written = folder / "written"
    written.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "benchmarks.hot_path.neighbour", str(written)]
    if not equal:
        command.append("--behind")
    environ = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    with subprocess.Popen(command, cwd=CHECKOUT, env=environ, start_new_session=True) as process:
        try:
            yield
        finally:
            process.kill()
    for path in written.iterdir():
        path.unlink()


def load(server: Peer, kind: str, rate: float, seconds: float) -> OpenOutcome:
    """Requests by the clock."""
    plan = Plan(
        server.port,
        server.path,
        [as_json({"records": [record]}) for record in requests_of(kind, DIFFERENT)],
        CONNECTIONS,
        seconds,
        headers=server.headers,
    )
    with OpenLoad(OpenPlan(plan, rate)) as running:
        return running.wait()


def read(server: str, beside: bool, outcome: OpenOutcome) -> Round:
    """What is kept of a stretch."""
    failed = sum(count for status, count in outcome.statuses.items() if status != "200") + outcome.not_sent
    return Round(server, beside, outcome.p50_ms, outcome.p99_ms, outcome.p999_ms, outcome.max_ms, failed)


def middle(rounds: Sequence[Round], server: str, figure: str, *, beside: bool) -> float:
    """The median of a figure over the rounds."""
    chosen = [getattr(one, figure) for one in rounds if (one.server, one.beside) == (server, beside)]
    return float(statistics.median(chosen))


def show(console: Console, rounds: Sequence[Round]) -> None:
    """Print them as a table."""
    table = Table(
        title=f"Latency in ms, {psutil.cpu_count()} cores (medians; largest and failed of all rounds)"
    )
    for head in ("", "", "p50", "p99", "p99.9", "largest", "failed"):
        table.add_column(head, justify="right" if head else "left")
    for server in (RATCHET, BARE):
        for beside, name in ((False, "alone"), (True, "beside a retrain")):
            mine = [one for one in rounds if (one.server, one.beside) == (server, beside)]
            cells = [
                f"{middle(rounds, server, figure, beside=beside):.2f}" for figure in ("p50", "p99", "p999")
            ]
            most, failed = max(one.most for one in mine), sum(one.failed for one in mine)
            table.add_row(server, name, *cells, f"{most:.1f}", str(failed))
    console.print(table)
