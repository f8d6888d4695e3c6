"""What `bench_serving` concludes from its numbers, and how it shows them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.harness.recipes import BARE, HANDLER, OTHER_CHECKOUT, RATCHET
from benchmarks.harness.servers import Memory
from benchmarks.harness.targets import Target, show_targets
from benchmarks.harness.tensor_servers import TRITON

Numbers = dict[str, dict[str, dict[str, float]]]
"""Server -> load -> number."""
COLUMNS = (
    ("1 conn: req/s", "1 connection", "rate", ",.0f"),
    ("32 conn: req/s", "32 connections", "rate", ",.0f"),
    ("p99 ms", "32 connections", "p99_ms", ".1f"),
    ("CPU us a request", "32 connections", "cpu_us", ",.0f"),
    ("idle: p50 ms", "idle", "p50_ms", ".2f"),
    ("p99 ms", "idle", "p99_ms", ".2f"),
    ("after burst: p50 ms", "after the burst", "p50_ms", ".2f"),
    ("p99 ms", "after the burst", "p99_ms", ".2f"),
    ("64 records, 1 conn: rec/s", "1 connection, 64 records", "records", ",.0f"),
    ("32 conn: rec/s", "32 connections, 64 records", "records", ",.0f"),
)
"""Heading, load, number and how it is written."""
RESTING = ("idle", "after the burst")
"""Loads that rest between requests: of them latency counts, not throughput."""


def judge(medians: Numbers, ready: Mapping[str, float], memory: Mapping[str, Memory]) -> list[Target]:
    """Each target, what was measured, and whether it is met; none where Ratchet was not measured."""
    if RATCHET not in medians:
        return []
    ratchet = medians[RATCHET]
    return [
        *against_others(medians),
        *alone(medians),
        Target(
            "64 records a request, records/s of one a request, 1 connection",
            ratchet["1 connection, 64 records"]["records"] / ratchet["1 connection"]["records"],
            "at least", 3,
        ),
        Target("failed requests", sum(values["failed"] for values in ratchet.values()), "at most", 0, ""),
        Target("ready", ready[RATCHET], "at most", 8, "s"),
        Target("memory of the worker (RSS)", memory[RATCHET].resident, "at most", 450, "MB"),
    ]  # fmt: skip


def judge_throughput(medians: Numbers, wanted: float) -> list[Target]:
    """Throughput beside the others, and no failure: of rows and texts, or where not all loads were put."""
    if RATCHET not in medians:
        return []
    failed = sum(values["failed"] for values in medians[RATCHET].values())
    return [*against_others(medians, wanted), Target("failed requests", failed, "at most", 0, "")]


def against_others(medians: Numbers, wanted: float = 4) -> list[Target]:
    """Throughput at 32 connections beside the other servers', where it was measured.

    Triton is a yardstick like the bare handlers: its own threads read and answer on all cores, while one
    worker has one event loop.
    """
    rates = {
        server: measures["32 connections"]["rate"]
        for server, measures in medians.items()
        if "32 connections" in measures
    }
    if RATCHET not in rates:
        return []
    ratchet_rate = rates.pop(RATCHET)
    targets = []
    handler, other = rates.pop(HANDLER, None), rates.pop(OTHER_CHECKOUT, None)
    for yardstick in (BARE, TRITON):
        rates.pop(yardstick, None)
    if rates:
        best = max(rates, key=lambda server: rates[server])
        name = f"requests/s at 32 connections, of {best}, the best of the others"
        targets.append(Target(name, ratchet_rate / rates[best], "at least", wanted))
    if handler:
        name = "requests/s at 32 connections, of the same handler without a log"
        targets.append(Target(name, ratchet_rate / handler, "at least", 0.7))
    if other:
        measured = [load for load in ("1 connection", "32 connections") if load in medians[RATCHET]]
        targets += [_beside(medians, load) for load in measured]
    return targets


def ratios(rounds: Sequence[Numbers]) -> dict[str, dict[str, list[float]]]:
    """Ratchet's requests a second, of each server's in the same round: server -> load -> one a round."""
    if not rounds or RATCHET not in rounds[0]:
        return {}
    return {
        server: {
            load: [one[RATCHET][load]["rate"] / max(one[server][load]["rate"], 1e-9) for one in rounds]
            for load in loads
            if load not in RESTING
        }
        for server, loads in rounds[0].items()
        if server != RATCHET
    }


def _beside(medians: Numbers, load: str) -> Target:
    ratio = medians[RATCHET][load]["rate"] / medians[OTHER_CHECKOUT][load]["rate"]
    return Target(f"requests/s at {load}, of the other checkout", ratio, "at least", 0.95)


def alone(medians: Numbers) -> list[Target]:
    """Latency of lone requests, idle and straight after a burst."""
    idle, burst = medians[RATCHET]["idle"], medians[RATCHET]["after the burst"]
    targets = []
    if BARE in medians:
        for name in ("idle", "after the burst"):
            ratio = medians[RATCHET][name]["p50_ms"] / medians[BARE][name]["p50_ms"]
            targets.append(Target(f"{name}: p50, of the bare handler's", ratio, "at most", 4))
    return [
        *targets,
        Target("idle: p99, of its own p50", idle["p99_ms"] / idle["p50_ms"], "at most", 3),
        Target("after the burst: p99, of its own p50", burst["p99_ms"] / burst["p50_ms"], "at most", 3),
    ]


def show(
    console: Console,
    medians: Numbers,
    ready: Mapping[str, float],
    memory: Mapping[str, Memory],
    targets: Sequence[Target],
    notes: Sequence[str],
) -> None:
    """All numbers, then the targets."""
    table = Table(title="Serving: one worker, one record a request unless said otherwise (medians)")
    columns = [column for column in COLUMNS if any(column[1] in loads for loads in medians.values())]
    table.add_column("server")
    for heading in (*(column[0] for column in columns), "failed", "ready s", "RSS MB", "PSS MB"):
        table.add_column(heading, justify="right")
    for server, loads in medians.items():
        cells = [format(loads[load][number], form) for _, load, number, form in columns]
        failed = sum(values["failed"] for values in loads.values())
        size = memory[server]
        table.add_row(
            server, *cells, f"{failed:.0f}",
            f"{ready[server]:.1f}", f"{size.resident:.0f}", f"{size.proportional:.0f}",
        )  # fmt: skip
    console.print(table)
    busiest = max(values["client_cpu"] for measures in medians.values() for values in measures.values())
    console.print(
        f"The load client shares the cores with the server; at its busiest it used {busiest:.0%} of one core."
    )
    show_targets(console, targets)
    for note in notes:
        console.print(note)


def show_ratios(console: Console, found: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    """The median of the rounds, and from the least to the most."""
    loads = list(dict.fromkeys(load for one in found.values() for load in one))
    if not loads:
        return
    table = Table(title="Ratchet's requests/s, of each server's in the same round: median (least to most)")
    table.add_column("server")
    for load in loads:
        table.add_column(load, justify="right")
    for server, one in found.items():
        table.add_row(server, *(
            f"{statistics.median(one[load]):.2f} ({min(one[load]):.2f} to {max(one[load]):.2f})"
            for load in loads
        ))  # fmt: skip
    console.print(table)
