"""What the serving benchmark concludes from numbers that are known."""

from __future__ import annotations

import io

from rich.console import Console

from benchmarks.harness.recipes import BARE, HANDLER, RATCHET
from benchmarks.harness.servers import Memory
from benchmarks.harness.serving_report import Numbers, judge, judge_throughput, ratios, show
from benchmarks.harness.tensor_servers import TRITON


def measured(rate: float, p50: float, p99: float) -> dict[str, dict[str, float]]:
    single = {
        "rate": rate,
        "records": rate,
        "failed": 0.0,
        "p50_ms": p50,
        "p99_ms": p99,
        "client_cpu": 0.2,
        "cpu_us": 90.0,
    }
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
    yardsticks = {
        HANDLER: measured(5000, 0.9, 2.0), BARE: measured(9000, 0.3, 0.5), TRITON: measured(9000, 0.3, 0.5)
    }  # fmt: skip
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


def test_ratios_are_those_of_the_same_round_and_of_loads_that_do_not_rest() -> None:
    rounds: list[Numbers] = [
        {RATCHET: measured(4000, 1, 2), "other": measured(1000, 1, 2)},
        {RATCHET: measured(3000, 1, 2), "other": measured(1500, 1, 2)},
    ]
    assert ratios(rounds) == {
        "other": {load: [4.0, 2.0] for load in measured(1, 1, 1) if load not in ("idle", "after the burst")}
    }
    assert ratios([{"other": measured(1, 1, 1)}]) == {}


def test_some_of_the_loads_are_judged_and_shown_by_themselves() -> None:
    load = "32 connections"
    medians = {
        RATCHET: {load: measured(4999, 1, 2)[load]}, "other": {load: measured(1000, 1, 2)[load]},
        TRITON: {load: measured(9000, 1, 2)[load]},
    }  # fmt: skip
    targets = judge_throughput(medians, 5)
    assert [target.name for target in targets if not target.met] == [
        "requests/s at 32 connections, of other, the best of the others"
    ]
    text = io.StringIO()
    memory = dict.fromkeys(medians, Memory(200, 150))
    show(Console(file=text, width=150), medians, dict.fromkeys(medians, 3.0), memory, targets, ["a note"])
    assert "4,999" in text.getvalue()
    assert "idle" not in text.getvalue()
