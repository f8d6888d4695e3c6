"""What `bench_swap` concludes from the answers it got, and how it shows them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.harness.load import Outcome
from benchmarks.harness.targets import Target, show_targets

SETTLED_SECONDS = 0.3
"""What is answered so long after the last answer of the old version still counts as during the swap."""
QUIET_SECONDS = 0.5
"""A window that ends with the old version still answering has not swapped."""


@dataclass(frozen=True)
class Move:
    """One move of production; times of `time.perf_counter`."""

    how: str
    version: int
    begun: float
    moved: float
    """When the call that moves it returned."""
    ended: float
    """When the next may begin."""


@dataclass(frozen=True)
class Swap:
    """What came of one move."""

    how: str
    version: int
    seconds: float
    """From the return of the call until the last answer of the old version; infinite if it stayed."""
    with_call_seconds: float
    """The same from the beginning of the call."""
    worst_ms: float
    strays: int
    """Answers of a version that is neither the old nor the new."""


@dataclass(frozen=True)
class Summary:
    """The whole measurement."""

    requests: int
    failed: int
    wrong: int
    """Answers that are not those of the version they name: another's, or a mixture."""
    rate: float
    steady_p50_ms: float
    steady_p99_ms: float
    steady_max_ms: float
    swaps: list[Swap]

    def of(self, how: str) -> list[Swap]:
        """Swaps of one kind."""
        return [swap for swap in self.swaps if swap.how == how]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def summarise(outcome: Outcome, moves: Sequence[Move]) -> Summary:
    """Sort the answers into swaps and steady times."""
    answers = np.array(outcome.kept)
    at, latency, version = answers[:, 0], answers[:, 1], answers[:, 2].astype(int)
    swaps = []
    calm = np.ones(len(at), dtype=bool)
    old = int(version[at < moves[0].begun][-1])
    for move in moves:
        window = (at >= move.begun) & (at < move.ended)
        swap, until = follow(move, old, at[window], latency[window], version[window])
        swaps.append(swap)
        calm &= ~((at >= move.begun) & (at < until))
        old = move.version
    p50, p99, most = (float(np.percentile(latency[calm], share)) for share in (50, 99, 100))
    return Summary(outcome.requests, outcome.failed, outcome.wrong, outcome.rate, p50, p99, most, swaps)


def follow(
    move: Move, old: int, at: NDArray[Any], latency: NDArray[Any], version: NDArray[Any]
) -> tuple[Swap, float]:
    """The swap after one move, from the answers until the next, and the time when it was over."""
    elsewhere = at[version != move.version]
    last = float(elsewhere[-1]) if len(elsewhere) else move.begun
    until = min(last + SETTLED_SECONDS, move.ended)
    stayed = not len(at) or last > move.ended - QUIET_SECONDS
    during = latency[at < until]
    swap = Swap(
        move.how,
        move.version,
        math.inf if stayed else max(0.0, last - move.moved),
        math.inf if stayed else last - move.begun,
        float(during.max()) if len(during) else math.nan,
        int(((version != move.version) & (version != old)).sum()),
    )
    return swap, until


def judge(summary: Summary) -> list[Target]:
    """Each target, what was measured, and whether it is met."""
    promoted, by_hand = summary.of("by_promotion"), summary.of("by_hand")
    slowest, worst = max(swap.seconds for swap in promoted), max(swap.worst_ms for swap in promoted)
    targets = [
        Target("failed requests", summary.failed, "at most", 0, ""),
        Target("answers that are not of the version they name", summary.wrong, "at most", 0, ""),
        Target(
            "answers of a version that production did not name",
            sum(swap.strays for swap in summary.swaps), "at most", 0, "",
        ),
        Target("slowest promotion, to all workers", slowest, "at most", 2, "s"),
        Target("worst latency in a swap, of the steady p99", worst / summary.steady_p99_ms, "at most", 5),
    ]  # fmt: skip
    if by_hand:
        slowest_by_hand = max(swap.seconds for swap in by_hand)
        targets.append(Target("slowest move by hand, to all workers", slowest_by_hand, "at most", 10, "s"))
    return targets


def show(console: Console, summary: Summary, targets: Sequence[Target]) -> None:
    """All swaps, then the targets."""
    table = Table(title="Swaps under load")
    for column in ("how", "to version", "all workers after s", "with the call s", "worst ms"):
        table.add_column(column, justify="left" if column == "how" else "right")
    for swap in summary.swaps:
        table.add_row(
            swap.how.replace("_", " "), str(swap.version), f"{swap.seconds:.2f}",
            f"{swap.with_call_seconds:.2f}", f"{swap.worst_ms:.1f}",
        )  # fmt: skip
    console.print(table)
    console.print(
        f"{summary.requests:,} requests, {summary.rate:,.0f} a second; between swaps p50 "
        f"{summary.steady_p50_ms:.1f} ms, p99 {summary.steady_p99_ms:.1f} ms, "
        f"worst {summary.steady_max_ms:.1f} ms"
    )
    middle = float(np.median([swap.worst_ms for swap in summary.of("by_promotion")]))
    console.print(
        f"of the steady p99: the worst latency of the middle swap {middle / summary.steady_p99_ms:.1f} x, "
        f"the worst between swaps {summary.steady_max_ms / summary.steady_p99_ms:.1f} x"
    )
    show_targets(console, targets)
