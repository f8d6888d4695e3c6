"""What `bench_serving` concludes from its numbers, and how it shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.harness.recipes import BARE, HANDLER, OTHER_CHECKOUT, RATCHET
from benchmarks.harness.servers import Memory
from benchmarks.harness.targets import Target, show_targets

Numbers = dict[str, dict[str, dict[str, float]]]
"""Server -> load -> number."""
COLUMNS = (
    "server", "1 conn: req/s", "32 conn: req/s", "p99 ms", "idle: p50 ms", "p99 ms",
    "after burst: p50 ms", "p99 ms", "64 records, 1 conn: rec/s",
    "32 conn: rec/s", "failed", "ready s", "RSS MB", "PSS MB",
)  # fmt: skip


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


def judge_frames(medians: Numbers) -> list[Target]:
    """The same of rows or texts: throughput beside the others, and no failure."""
    if RATCHET not in medians:
        return []
    failed = sum(values["failed"] for values in medians[RATCHET].values())
    return [*against_others(medians, 5), Target("failed requests", failed, "at most", 0, "")]


def against_others(medians: Numbers, wanted: float = 4) -> list[Target]:
    """Throughput at 32 connections beside the other servers'."""
    rates = {server: measures["32 connections"]["rate"] for server, measures in medians.items()}
    ratchet_rate = rates.pop(RATCHET)
    targets = []
    handler, other = rates.pop(HANDLER, None), rates.pop(OTHER_CHECKOUT, None)
    rates.pop(BARE, None)
    if rates:
        best = max(rates, key=lambda server: rates[server])
        name = f"requests/s at 32 connections, of {best}, the best of the others"
        targets.append(Target(name, ratchet_rate / rates[best], "at least", wanted))
    if handler:
        name = "requests/s at 32 connections, of the same handler without a log"
        targets.append(Target(name, ratchet_rate / handler, "at least", 0.7))
    if other:
        targets += [_beside(medians, load) for load in ("1 connection", "32 connections")]
    return targets


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
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == "server" else "right")
    for server, measures in medians.items():
        idle, burst, busy = measures["idle"], measures["after the burst"], measures["32 connections"]
        table.add_row(
            server,
            f"{measures['1 connection']['rate']:,.0f}", f"{busy['rate']:,.0f}", f"{busy['p99_ms']:.1f}",
            f"{idle['p50_ms']:.2f}", f"{idle['p99_ms']:.2f}",
            f"{burst['p50_ms']:.2f}", f"{burst['p99_ms']:.2f}",
            f"{measures['1 connection, 64 records']['records']:,.0f}",
            f"{measures['32 connections, 64 records']['records']:,.0f}",
            f"{sum(values['failed'] for values in measures.values()):.0f}",
            f"{ready[server]:.1f}", f"{memory[server].resident:.0f}", f"{memory[server].proportional:.0f}",
        )  # fmt: skip
    console.print(table)
    busiest = max(values["client_cpu"] for measures in medians.values() for values in measures.values())
    console.print(
        f"The load client shares the cores with the server; at its busiest it used {busiest:.0%} of one core."
    )
    show_targets(console, targets)
    for note in notes:
        console.print(note)
