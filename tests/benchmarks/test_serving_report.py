"""What the serving benchmark concludes from numbers that are known."""

from __future__ import annotations

from benchmarks.harness.recipes import BARE, HANDLER, RATCHET
from benchmarks.harness.servers import Memory
from benchmarks.harness.serving_report import Numbers, judge


def measured(rate: float, p50: float, p99: float) -> dict[str, dict[str, float]]:
    single = {"rate": rate, "records": rate, "failed": 0.0, "p50_ms": p50, "p99_ms": p99}
    many = {**single, "rate": rate / 10, "records": rate * 6.4}
    return {
        "idle": single, "after the burst": single, "1 connection": single, "32 connections": single,
        "1 connection, 64 records": many, "32 connections, 64 records": many,
    }  # fmt: skip


def missed(medians: Numbers) -> list[str]:
    targets = judge(medians, {RATCHET: 3.0}, {RATCHET: Memory(200, 150)})
    return [target.name for target in targets if not target.met]


def test_the_best_of_the_others_counts_and_not_the_yardsticks() -> None:
    ours, others = measured(4000, 1.0, 2.0), {"slow": measured(100, 9, 9), "less slow": measured(1001, 9, 9)}
    yardsticks = {HANDLER: measured(5000, 0.9, 2.0), BARE: measured(9000, 0.3, 0.5)}
    assert missed({RATCHET: ours, **others, **yardsticks}) == [
        "requests/s at 32 connections, of less slow, the best of the others"
    ]


def test_latency_is_held_to_the_bare_handler_and_to_its_own_median() -> None:
    ours, bare = measured(4000, 1.0, 3.1), measured(9000, 0.24, 0.5)
    assert missed({RATCHET: ours, BARE: bare}) == [
        "idle: p50, of the bare handler's",
        "after the burst: p50, of the bare handler's",
        "idle: p99, of its own p50",
        "after the burst: p99, of its own p50",
    ]
