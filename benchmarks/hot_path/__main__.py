"""What a request costs beyond its model: `python -m benchmarks.hot_path`, about two minutes.

One worker with prediction log, metrics and API keys on answers one record a request, over 1 and over 32
connections: a 28x28 picture, a row of 20 fields, a short text. Told is the CPU of all processes of the
service a request, in microseconds, by part; the model's part is what the same version needs for the same
records in calls of as many rows. CPU, unlike time, says the same on a busy machine. `--beside CHECKOUT`
measures another checkout in turn, which goes first every second round. `--beside-retrain` measures latency
instead, beside a retrain of half a million rows by the worker of a whole stack, or a process that computes
and writes (`beside_retrain.py`), about ten minutes. Ends with an error when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.harness.targets import Target, show_targets
from benchmarks.hot_path.beside_retrain import Neighbour, measure
from benchmarks.hot_path.model_part import ModelPart, model_part
from benchmarks.hot_path.records import KINDS, artifacts
from benchmarks.hot_path.service import Load, MeasuredService
from configs.settings import CHECKOUT

RESULTS = CHECKOUT / "benchmarks" / "results" / "hot_path.json"
CONNECTIONS = (1, 32)
MOST_OURS = 60.0
"""Microseconds a request."""
OURS, OTHER = "this checkout", "other checkout"

Key = tuple[str, str, int]
"""Server, kind of record, connections."""


def main() -> None:
    """Measure, print, write and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each load")
    parser.add_argument("--only", default=",".join(KINDS), help=f"of {', '.join(KINDS)}")
    parser.add_argument("--beside", type=Path, help="another checkout, measured in turn")
    parser.add_argument(
        "--beside-retrain", action="store_true", help="latency beside a retrain of the worker"
    )
    parser.add_argument("--neighbour", action="store_true", help="beside a process that computes and writes")
    parser.add_argument("--equal", action="store_true", help="which is not placed behind the service")
    parser.add_argument("--rate", type=float, default=400.0, help="requests a second beside a retrain")
    options = parser.parse_args()
    console = Console(width=140)
    if options.beside_retrain:
        kind, seconds = options.only.split(",")[0], max(20.0, options.seconds)
        neighbour: Neighbour = "equal" if options.equal else "behind" if options.neighbour else "none"
        sys.exit(not measure(console, kind, options.rate, seconds, options.rounds, neighbour))
    kinds = options.only.split(",")
    loads: dict[Key, list[Load]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        services = [MeasuredService(OURS, folder / "ours", stack)]
        if options.beside is not None:
            services.append(MeasuredService(OTHER, folder / "other", stack, options.beside.resolve()))
        for number in range(options.rounds):
            console.print(f"round {number + 1}; the machine is {psutil.cpu_percent(1.0):.0f}% busy by itself")
            for kind in kinds:
                for connections in CONNECTIONS:
                    for service in services if number % 2 == 0 else services[::-1]:
                        load = service.put_load(kind, connections, options.seconds)
                        loads.setdefault((service.name, kind, connections), []).append(load)
    made = artifacts()
    rows = {
        key: max(1, round(statistics.median(load.batch_rows for load in some))) for key, some in loads.items()
    }
    parts = {(kind, n): model_part(made[kind], kind, n) for kind, n in {(key[1], rows[key]) for key in rows}}
    models = {key: parts[key[1], rows[key]] for key in loads}
    figures = {key: figure(some, models[key]) for key, some in loads.items()}
    targets = [
        Target(f"beyond the model: {KINDS[kind]}, {n} connections", found["ours"], "at most", MOST_OURS, "us")
        for (server, kind, n), found in figures.items() if server == OURS
    ]  # fmt: skip
    show(console, figures)
    show_targets(console, targets)
    RESULTS.parent.mkdir(exist_ok=True)
    told = [dict(zip(("server", "kind", "connections"), key, strict=True)) | figures[key] for key in figures]
    content = {"loads": told, "targets": [one.as_dict() for one in targets], "cores": os.cpu_count()}
    RESULTS.write_text(json.dumps(content, indent=1))
    console.print(f"written to {RESULTS.relative_to(CHECKOUT)}")
    sys.exit(0 if all(target.met for target in targets) else 1)


def figure(loads: Sequence[Load], model: ModelPart) -> dict[str, Any]:
    """The medians over the rounds, in microseconds a request."""
    names = ("service", "loop", "threads", "others", "database", "batch_rows")
    medians = {name: statistics.median(getattr(load, name) for load in loads) for name in names}
    return {
        **medians,
        "encode": model.encode,
        "run": model.run,
        "ours": medians["service"] - model.both,
        "ours_of_each_round": [load.service - model.both for load in loads],
        "rate": statistics.median(load.outcome.rate for load in loads),
        "p50_ms": statistics.median(load.outcome.p50_ms for load in loads),
    }


def show(console: Console, figures: Mapping[Key, Mapping[str, Any]]) -> None:
    """Print them as a table."""
    table = Table(title="CPU of one request, us (medians of the rounds)")
    heads = (
        "server", "record", "connections", "rows a call", "loop", "threads", "others", "service",
        "model: encode", "run", "beyond the model", "PostgreSQL", "req/s", "p50 ms",
    )  # fmt: skip
    for place, head in enumerate(heads):
        table.add_column(head, justify="left" if place < 2 else "right")
    for (server, kind, connections), one in sorted(figures.items(), key=lambda pair: pair[0][1:]):
        cells = [one[name] for name in ("loop", "threads", "others", "service", "encode", "run", "ours")]
        table.add_row(
            server, KINDS[kind], str(connections), f"{one['batch_rows']:.1f}",
            *(f"{cell:.1f}" for cell in cells), f"{one['database']:.1f}",
            f"{one['rate']:,.0f}", f"{one['p50_ms']:.2f}",
        )  # fmt: skip
    console.print(table)


if __name__ == "__main__":
    main()
