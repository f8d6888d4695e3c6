"""What the long benchmarks conclude."""

from __future__ import annotations

from dataclasses import replace

from benchmarks import bench_soak, bench_swap_memory, bench_year
from benchmarks.bench_soak import Soak
from benchmarks.bench_swap_memory import Reading
from benchmarks.bench_year import Step
from benchmarks.harness.load import Plan
from benchmarks.harness.open_loop import OpenOutcome, OpenPlan, OpenRun, Slice
from benchmarks.harness.targets import Target

OUTCOME = OpenOutcome(
    due=600, not_sent=0, statuses={"200": 600}, without_retry_after=0, goodput=[], p50_ms=1, p99_ms=2,
    connections=4, client_cpu=0.1, slices=[Slice(60, 1.0, 10.0)] * 10,
)  # fmt: skip
SOAK = Soak(4, 100.0, 50.0, 10, 10, [{"worker": 170.0, "MLflow": 300.0}] * 10, OUTCOME)
READING = Reading(0, 165.0, 10, 36, 100, 0, 1.0, 10.0, 20.0)
READINGS = [replace(READING, swaps=100 * number) for number in range(11)]
STEP = Step(1.0, "promoted", {"mlflow": 20.0, "labels": 1.0}, {"MLflow": 300.0}, {})


def missed(targets: list[Target]) -> list[str]:
    return [target.name for target in targets if not target.met]


def test_a_flat_soak_meets_every_target_and_each_fault_is_named() -> None:
    assert missed(bench_soak.judge(SOAK)) == []
    up_once = [*SOAK.memory[:-1], {"worker": 190.0, "MLflow": 300.0}]
    assert missed(bench_soak.judge(replace(SOAK, memory=up_once))) == []
    rising = [{"worker": 170.0 + 6 * minute, "MLflow": 300.0} for minute in range(10)]
    assert missed(bench_soak.judge(replace(SOAK, memory=rising))) == ["MB grown: worker"]
    slow = replace(OUTCOME, slices=[*OUTCOME.slices[:7], *[Slice(60, 1.0, 16.0)] * 3])
    (late,) = missed(bench_soak.judge(replace(SOAK, outcome=slow)))
    assert late.startswith("p99")
    failed = replace(SOAK, outcome=replace(OUTCOME, statuses={"200": 599, "503": 1}))
    assert missed(bench_soak.judge(failed)) == ["failed requests"]
    assert missed(bench_soak.judge(replace(SOAK, taken_up=9))) == ["versions taken up, of those promoted"]


def test_a_worker_that_keeps_what_it_swapped_is_named() -> None:
    assert missed(bench_swap_memory.judge(READINGS, 1000)) == []
    leaking = [replace(one, resident_mb=165.0 + one.swaps * 0.05) for one in READINGS]
    (leak,) = missed(bench_swap_memory.judge(leaking, 1000))
    assert leak.startswith("memory kept")


def test_a_folder_that_goes_on_growing_is_named_and_labels_may() -> None:
    flat = [STEP] * 9
    assert missed(bench_year.judge(flat)) == []
    grown = replace(STEP, megabytes={"mlflow": 23.0, "labels": 9.0})
    assert missed(bench_year.judge([*flat[:-1], grown])) == ["mlflow, of what it was after two thirds"]


def test_latency_is_told_for_each_stretch_by_when_requests_were_due() -> None:
    run = OpenRun(OpenPlan(Plan(1, "/", [], seconds=3.0), 1.0, slice_seconds=1.0))
    run.due_at, run.latencies = [0.1, 0.9, 2.5], [0.002, 0.002, 0.004]
    first, second, third = run._slices()
    assert (first.answered, round(first.p99_ms), second.answered) == (2, 2, 0)
    assert (third.answered, round(third.p50_ms)) == (1, 4)
