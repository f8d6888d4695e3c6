"""Serving beside its peers: `make bench-serving`.

One worker each, the same model, the same images, all servers up at the same time and measured in turn,
five rounds; the median of each number counts. Ratchet validates, answers in full, counts metrics
and logs every answer so that kill -9 loses none. The others do what their own documentation
shows. `--record hot_row` and `--record hot_text` measure a row of 20 fields and a short text in place of
images. Before anything is timed all servers have to give the labels of Ratchet's version. `--loads` names
some of the loads. Ends with an error when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

from benchmarks.harness import model, peer_recipes, recipes
from benchmarks.harness.answers import ensure_right, expected_labels
from benchmarks.harness.load import Outcome, Plan, put_load
from benchmarks.harness.servers import Peer, Running
from benchmarks.harness.serving_report import Numbers, judge, judge_throughput, ratios, show, show_ratios
from benchmarks.hot_path.records import (
    KINDS,
    PICTURE,
    ROW,
    TEXT,
    artifacts,
    requests_of,
    use_case_of,
)
from configs.settings import CHECKOUT

RESULTS = CHECKOUT / "benchmarks" / "results" / "serving.json"
MANY = 64
WANTED = {PICTURE: 4, ROW: 5, TEXT: 5}
"""Ratchet's requests a second at 32 connections, of the best of the others'."""


@dataclass(frozen=True)
class Measure:
    """One kind of load."""

    name: str
    connections: int
    records: int
    pause: float = 0.0
    warmup: float = 0.3


MEASURES: tuple[tuple[Measure, ...], ...] = (
    (Measure("idle", 1, 1, pause=0.005),),
    (Measure("1 connection", 1, 1),),
    # Lone requests right behind a burst, measured from the first one on.
    (Measure("32 connections", 32, 1), Measure("after the burst", 1, 1, pause=0.005, warmup=0.0)),
    (Measure("1 connection, 64 records", 1, MANY),),
    (Measure("32 connections, 64 records", 32, MANY),),
)
"""What stands together follows at once on the same server; between groups the servers take turns."""
LOADS = tuple(measure.name for group in MEASURES for measure in group)


def main() -> None:
    """Measure, print, write and judge."""
    options = read_options()
    kind, chosen = options.record, options.loads.split(";")
    console = Console(width=150)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        artifact = artifacts()[kind]
        makers = servers(kind, artifact, folder, stack, beside=options.beside, keys=options.keys)
        records = sent(kind, 8 * MANY)
        running, notes = start(makers, options.only.split(","), folder, stack, console, records[:1])
        expected, classes = expected_labels(kind, artifact, records), use_case_of(kind).target.classes or ()
        for server in running:
            ensure_right(server.peer, records, expected, classes, MANY)
        console.print(f"all answer {len(records)} records with the labels of Ratchet's version")
        console.print(f"{os.cpu_count()} cores, shared by the servers and the load client")
        rounds, busy_percents = [], []
        for number in range(options.rounds):
            busy_percents.append(psutil.cpu_percent(1.0))
            busy = f"the machine is {busy_percents[-1]:.0f}% busy by itself"
            console.print(f"round {number + 1} of {options.rounds}; {busy}")
            turn = number % len(running)
            order = running[turn:] + running[:turn]
            rounds.append(measure_all(order, options.seconds, records, chosen))
        memory = {server.peer.name: server.memory() for server in running}
    ready = {server.peer.name: server.ready_seconds for server in running}
    medians, each = summarise(rounds, [server.peer.name for server in running]), ratios(rounds)
    if kind == PICTURE and set(chosen) == set(LOADS):
        targets = judge(medians, ready, memory)
    else:
        targets = judge_throughput(medians, WANTED[kind])
    show(console, medians, ready, memory, targets, notes)
    show_ratios(console, each)
    content = {
        "medians": medians,
        "ratios": each,
        "targets": [target.as_dict() for target in targets],
        "ready_seconds": ready,
        "memory_mb": {name: asdict(size) for name, size in memory.items()},
        "left_out": notes,
        "cores": os.cpu_count(),
        "keys": options.keys,
        "busy_before_rounds_percent": busy_percents,
        "rounds": rounds,
    }
    write(console, kind, content)
    sys.exit(0 if all(target.met for target in targets) else 1)


def read_options() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each load")
    parser.add_argument("--only", default="", help="comma-separated parts of names of servers")
    names = "; ".join(LOADS)
    parser.add_argument("--loads", default=";".join(LOADS), help=f"semicolon-separated, of: {names}")
    parser.add_argument("--keys", action="store_true", help="Ratchet's callers show an API key")
    parser.add_argument("--record", choices=tuple(KINDS), default=PICTURE, help="what is sent")
    parser.add_argument("--beside", type=Path, help="another checkout of Ratchet, measured too")
    options = parser.parse_args()
    if unknown := set(options.loads.split(";")) - set(LOADS):
        parser.error(f"--loads has {sorted(unknown)}; there are: {names}")
    return options


def write(console: Console, kind: str, content: Mapping[str, Any]) -> None:
    """The results, beside those of other kinds of records."""
    results = RESULTS if kind == PICTURE else RESULTS.with_stem(f"serving_{kind}")
    results.parent.mkdir(exist_ok=True)
    results.write_text(json.dumps(content, indent=1))
    console.print(f"written to {results.relative_to(CHECKOUT)}")


def servers(
    kind: str, artifact: Path, folder: Path, stack: ExitStack, *, beside: Path | None, keys: bool
) -> dict[str, Callable[[], Peer]]:
    """How each server is made, by its name."""
    postgres, home = recipes.ratchet_home(folder, [artifact], kind)
    stack.callback(postgres.stop)
    found: dict[str, Callable[[], Peer]] = {
        recipes.RATCHET: partial(recipes.ratchet, home, postgres.url, keys=keys, kind=kind)
    }
    if beside is not None:
        other_postgres, other_home = recipes.ratchet_home(folder / "beside", [artifact], kind)
        stack.callback(other_postgres.stop)
        found[recipes.OTHER_CHECKOUT] = partial(
            recipes.other_ratchet, beside.resolve(), other_home, other_postgres.url, keys=keys, kind=kind
        )
    return found | peer_recipes.makers(kind, artifact, folder)


def start(
    makers: Mapping[str, Callable[[], Peer]],
    only: Sequence[str],
    folder: Path,
    stack: ExitStack,
    console: Console,
    probe: Sequence[Any],
) -> tuple[list[Running], list[str]]:
    """Start every server that can be started; also says which could not, and why."""
    running: list[Running] = []
    notes: list[str] = []
    for name, make in makers.items():
        if not any(part in name for part in only):
            continue
        try:
            running.append(Running(make(), folder, probe))
        except RuntimeError as error:
            notes.append(f"left out: {str(error)[:400]}")
            console.print(notes[-1])
            continue
        stack.callback(running[-1].stop)
        console.print(f"{name}: ready")
    return running, notes


def sent(kind: str, count: int) -> list[Any]:
    """Images or records, the same for all servers."""
    return model.digit_images(count) if kind == PICTURE else requests_of(kind, count)


def measure_all(
    running: Sequence[Running], seconds: float, records: Sequence[Any], chosen: Sequence[str]
) -> Numbers:
    """One round: each group of loads on each server in turn, of which those that were chosen."""
    measured: Numbers = {server.peer.name: {} for server in running}
    for group in MEASURES:
        for server in running:
            for measure in (one for one in group if one.name in chosen):
                before = server.cpu_seconds()
                outcome = put_load(plan_for(server.peer, measure, seconds, records))
                used = server.cpu_seconds() - before
                measured[server.peer.name][measure.name] = numbers(outcome, measure, used)
    return measured


def plan_for(peer: Peer, measure: Measure, seconds: float, records: Sequence[Any]) -> Plan:
    """The load for one server: the same records for all, each in the form it wants."""
    starts = range(0, len(records), measure.records)
    bodies = [peer.body(records[start : start + measure.records]) for start in starts]
    return Plan(
        peer.port,
        peer.path,
        bodies,
        measure.connections,
        seconds,
        pause=measure.pause,
        warmup=measure.warmup,
        headers=peer.headers,
    )


def numbers(outcome: Outcome, measure: Measure, cpu_seconds: float) -> dict[str, float]:
    """What is kept of one load; the server's CPU was used for the requests of the warm-up too."""
    requests = outcome.requests * (1 + measure.warmup / outcome.seconds)
    return {
        "cpu_us": 1e6 * cpu_seconds / requests if requests else float("nan"),
        "rate": outcome.rate,
        "records": outcome.rate * measure.records,
        "failed": outcome.failed,
        "p50_ms": outcome.p50_ms,
        "p99_ms": outcome.p99_ms,
        "max_ms": outcome.max_ms,
        "client_cpu": outcome.client_cpu,
    }


def summarise(rounds: Sequence[Numbers], servers: Sequence[str]) -> Numbers:
    """Median of each number over the rounds; of failures, all."""
    return {
        server: {
            measure: {
                key: (sum if key == "failed" else statistics.median)(
                    round_numbers[server][measure][key] for round_numbers in rounds
                )
                for key in values
            }
            for measure, values in rounds[0][server].items()
        }
        for server in servers
    }


if __name__ == "__main__":
    main()
