"""What a shadow version costs callers: `python -m benchmarks.serving.shadow`.

One worker of the service answers a steady load by the clock, in rounds: without a shadow, with one that
answers, with one that breaks on each record, and with one that hangs, a core's worth of computing until it is
given up. Who comes first turns from round to round. Printed are p50, p99 and answers a second of each, and
the median of their ratios to the same round without. Real PostgreSQL, real MLflow, real service, and what the
worker itself runs to start and watch the process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.bench_swap import Stage, register, set_up
from benchmarks.harness import model
from benchmarks.harness.load import Plan, put_load
from benchmarks.harness.open_loop import OpenLoad, OpenOutcome, OpenPlan
from benchmarks.harness.spoiling import Fault, spoil
from benchmarks.harness.targets import Target, show_targets
from configs.loading import load_use_case
from configs.settings import CHECKOUT, read_settings
from flows.mirroring.following import MODULE
from flows.mirroring.keeping import mirror
from models.versions.cache import add_to_cache
from store.database.connection import connect
from store.predictions.shadow_answers import ShadowStanding, ask_again, find_standing

RESULTS = CHECKOUT / "benchmarks" / "results" / "shadow.json"
USE_CASE = "digits"
Kind = Literal["without", "answers", "breaks", "hangs"]
KINDS: tuple[Kind, ...] = get_args(Kind)
CONNECTIONS = 64
LOAD_SECONDS = 60.0
"""How long a shadow version may take to be loaded, and to be at work."""
MOST_P99 = 1.05
AS_WORKER = "worker"


@dataclass(frozen=True)
class Part:
    """One kind in one round."""

    round: int
    kind: Kind
    outcome: OpenOutcome
    standing: ShadowStanding | None
    """Of the shadow version, afterwards."""

    @property
    def rate(self) -> float:
        """Answers a second."""
        return statistics.fmean(self.outcome.goodput)


def main() -> None:
    """Measure, print, write and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=8.0, help="of load, of each kind in each round")
    parser.add_argument("--share", type=float, default=0.3, help="of what one worker can answer")
    parser.add_argument("--rate", type=float, help="requests a second, in place of the share")
    options = parser.parse_args()
    console = Console(width=120)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stage = set_up(folder, model.versions()[:2], stack, workers=1)
        numbers = {"answers": 2} | {fault: add(stage, folder, fault) for fault in ("breaks", "hangs")}
        bodies = marked_bodies(stage)
        peer = stage.service.peer
        capacity = put_load(Plan(peer.port, peer.path, bodies, 16, 4.0, warmup=2.0)).rate
        rate = options.rate or options.share * capacity
        console.print(f"{rate:,.0f} requests/s by the clock; the worker answers {capacity:,.0f} at most")
        plan = OpenPlan(Plan(peer.port, peer.path, bodies, CONNECTIONS, options.seconds), rate)
        parts = [
            measure(stage, plan, kind, numbers, number)
            for number in range(options.rounds)
            for kind in (*KINDS[number % len(KINDS) :], *KINDS[: number % len(KINDS)])
        ]
    targets = judge(parts)
    show(console, parts)
    show_targets(console, targets)
    RESULTS.parent.mkdir(exist_ok=True)
    content = {
        "rate": rate,
        "capacity": capacity,
        "cores": os.cpu_count(),
        "targets": [target.as_dict() for target in targets],
        "parts": [asdict(part) for part in parts],
    }
    RESULTS.write_text(json.dumps(content, indent=1, default=str))
    sys.exit(0 if all(target.met for target in targets) else 1)


def add(stage: Stage, folder: Path, fault: Fault) -> int:
    """Make a version with a fault, and register it."""
    spoilt = spoil(stage.artifacts[1], folder / fault, fault, beyond=0.5, corner=True)
    number = register(stage.registry, spoilt)
    add_to_cache(spoilt, stage.cache, USE_CASE, number)
    return number


def marked_bodies(stage: Stage) -> list[str]:
    """Requests of one image each, with the mark in its corner by which versions with a fault show it."""
    images = model.digit_images(64)
    marked = [[[255, *image[0][1:]], *image[1:]] for image in images]
    return [stage.service.peer.body([image]) for image in marked]


def measure(stage: Stage, plan: OpenPlan, kind: Kind, numbers: dict[str, int], number: int) -> Part:
    """The load, with a shadow version at work beside it or without."""
    if kind == "without":
        with OpenLoad(plan) as load:
            return Part(number, kind, load.wait(), None)
    stage.registry.set_alias(USE_CASE, "challenger", numbers[kind])
    with connect(stage.database_url, autocommit=True) as conn:
        ask_again(conn, USE_CASE)
        conn.execute("UPDATE shadow_standing SET alone_ms = NULL WHERE use_case = %s", (USE_CASE,))
        with working(stage):
            await_loaded(conn, numbers[kind])
            with OpenLoad(plan) as load:
                outcome = load.wait()
            return Part(number, kind, outcome, find_standing(conn, USE_CASE))


@contextmanager
def working(stage: Stage) -> Iterator[None]:
    """The part of the worker that asks shadow versions, in a process as the worker is one."""
    environ = os.environ | stage.service.peer.environ
    command = [sys.executable, "-m", "benchmarks.serving.shadow", AS_WORKER]
    with subprocess.Popen(command, env=environ, cwd=CHECKOUT) as process:
        try:
            yield
        finally:
            family = psutil.Process(process.pid).children(recursive=True)
            process.terminate()
            _, alive = psutil.wait_procs(family, timeout=5)
            if alive:
                raise RuntimeError(f"{MODULE} outlives its worker")


def await_loaded(conn: object, version: int) -> None:
    """Until a version has answered its first records."""
    until = time.monotonic() + LOAD_SECONDS
    while time.monotonic() < until:
        standing = find_standing(conn, USE_CASE)  # type: ignore[arg-type]
        if standing is not None and standing.version == version and standing.alone_ms is not None:
            return
        time.sleep(0.1)
    raise RuntimeError(f"version {version} is not loaded as shadow")


def ratios(parts: Sequence[Part], kind: Kind, figure: Literal["p50_ms", "p99_ms", "rate"]) -> list[float]:
    """Of each round: the figure with this kind of shadow over the same without."""
    found = []
    for number in {part.round for part in parts}:
        of_round = {part.kind: part for part in parts if part.round == number}
        mine, base = (
            part.rate if figure == "rate" else float(getattr(part.outcome, figure))
            for part in (of_round[kind], of_round["without"])
        )
        found.append(mine / base)
    return found


def judge(parts: Sequence[Part]) -> list[Target]:
    """The targets: what callers may notice."""
    return [
        Target(f"p99, shadow {kind}", statistics.median(ratios(parts, kind, "p99_ms")), "at most", MOST_P99)
        for kind in KINDS[1:]
    ]


def show(console: Console, parts: Sequence[Part]) -> None:
    """Print them as a table."""
    table = Table(title="Callers, with a shadow version beside")
    columns = ("shadow", "p50 ms", "p99 ms", "answers/s", "p50 ratio", "p99 ratio", "rate ratio")
    for column in (*columns, "asked", "failed", "left out"):
        table.add_column(column, justify="left" if column == "shadow" else "right")
    for kind in KINDS:
        mine = [part for part in parts if part.kind == kind]
        medians = [
            f"{statistics.median(values):,.2f}"
            for values in (
                [part.outcome.p50_ms for part in mine],
                [part.outcome.p99_ms for part in mine],
                [part.rate for part in mine],
            )
        ]
        figures: tuple[Literal["p50_ms", "p99_ms", "rate"], ...] = ("p50_ms", "p99_ms", "rate")
        beside = [f"{statistics.median(ratios(parts, kind, figure)):.3f}" for figure in figures]
        last = mine[-1].standing
        counts = ("", "", "") if last is None else (last.answered, last.failed, last.left_out)
        table.add_row(kind, *medians, *beside, *(str(one) for one in counts))
    console.print(table)
    for kind in KINDS[1:]:
        each = ", ".join(f"{ratio:.3f}" for ratio in ratios(parts, kind, "p99_ms"))
        console.print(f"p99 ratio of each round, shadow {kind}: {each}")


def work() -> None:
    """Ask the shadow version of digits, as the worker does."""
    use_case = load_use_case(CHECKOUT / "configs" / f"{USE_CASE}.yaml")
    serving = use_case.serving.model_copy(update={"shadow": "challenger"})
    asyncio.run(mirror(read_settings(), {USE_CASE: use_case.model_copy(update={"serving": serving})}))


if __name__ == "__main__":
    work() if sys.argv[1:] == [AS_WORKER] else main()
