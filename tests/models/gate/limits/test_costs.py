"""What a version costs where it serves, and which costs are too much."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from configs.schema import GateConfig
from features.records.contract import take
from models.gate.checks import hold_to_limits, judge
from models.gate.decision import GateDecision
from models.gate.limits.costs import MOST_RECORDS, ROUNDS, Costs, artifact_bytes, measure_costs, time_answers
from tests.contract.cases import Case


def test_all_files_of_an_artifact_are_counted(tmp_path: Path) -> None:
    (tmp_path / "native").mkdir()
    (tmp_path / "manifest.json").write_bytes(b"x" * 30)
    (tmp_path / "native" / "model").write_bytes(b"x" * 400)
    assert artifact_bytes(tmp_path) == 430


class StagedClock:
    """Goes on by what each answer is said to take, in the order of the answers."""

    def __init__(self, took: Callable[[int], float]) -> None:
        self.took = took
        self.calls = 0
        self.now = 0.0

    def __call__(self) -> float:
        if self.calls % 2:
            self.now += self.took(self.calls // 2)
        self.calls += 1
        return self.now


def test_a_pause_of_the_machine_makes_no_record_slow(trees: Case) -> None:
    columns = take(trees.held_out, np.arange(20))

    def took(answer: int) -> float:
        turn, record = divmod(answer, 20)
        return 5.0 if turn in (1, 4) else 0.001 * (1 + record)

    clock = StagedClock(took)
    assert time_answers(trees.predictor, columns, clock) == pytest.approx(list(range(1, 21)))
    assert clock.calls == 2 * 20 * ROUNDS


def test_not_more_records_are_timed_than_it_takes(trees: Case) -> None:
    many = take(trees.held_out, np.zeros(1000, dtype=np.intp))
    assert len(time_answers(trees.predictor, many, StagedClock(lambda _: 0.001))) == MOST_RECORDS
    none = take(trees.held_out, np.zeros(0, dtype=np.intp))
    assert time_answers(trees.predictor, none) == []


def test_speed_is_measured_only_where_it_is_asked_for(trees: Case) -> None:
    quiet = measure_costs(trees.artifact, trees.predictor, trees.held_out, timed=False)
    assert (quiet.latency_ms, quiet.records) == (None, 0)
    assert quiet.bytes > 1000
    timed = measure_costs(trees.artifact, trees.predictor, take(trees.held_out, np.arange(5)), timed=True)
    assert timed.bytes == quiet.bytes
    assert timed.records == 5
    assert timed.latency_ms is not None
    assert timed.latency_ms > 0


def decide(costs: Costs | None, challenger: float = 0.9, **limits: float) -> GateDecision:
    gate = GateConfig(min_rows=50, **limits)
    gain = challenger - 0.7
    judged = judge(gate, rows=100, challenger=challenger, production=0.7, differences=np.full(500, gain))
    return hold_to_limits(gate, replace(judged, costs=costs))


def test_what_is_too_large_or_too_slow_is_refused_with_figure_and_limit() -> None:
    costs = Costs(bytes=2_000_001, latency_ms=12.34, records=80)
    large, slow = decide(costs, most_bytes=2_000_000), decide(costs, most_latency_ms=12.3)
    assert (large.verdict, large.outcome) == ("reject", "too_large")
    told = (
        "larger on disk than is allowed: 2,000,001 bytes on disk; gate.most_bytes is 2,000,000; better than"
    )
    assert large.reason.startswith(told)
    assert (slow.verdict, slow.outcome) == ("reject", "too_slow")
    assert "12.3 ms for a single record, by 80 of them; gate.most_latency_ms is 12.3" in slow.reason
    assert large.as_dict()["costs"] == {"bytes": 2_000_001, "latency_ms": 12.34, "records": 80}


def test_what_keeps_to_the_limits_or_has_none_is_promoted() -> None:
    costs = Costs(bytes=2_000_000, latency_ms=12.3, records=80)
    assert decide(costs).outcome == "beats_production"
    assert decide(costs, most_bytes=2_000_000, most_latency_ms=12.3).outcome == "beats_production"
    assert decide(None, most_bytes=1, most_latency_ms=0.1).outcome == "beats_production"  # a replay


def test_what_is_refused_anyway_keeps_its_reason() -> None:
    assert decide(Costs(bytes=10), challenger=0.6, most_bytes=1).outcome == "worse"


def test_the_first_model_keeps_to_limits_of_cost_too() -> None:
    gate = GateConfig(most_bytes=5)
    first = judge(gate, rows=3, challenger=0.4, production=None, differences=None)
    assert hold_to_limits(gate, replace(first, costs=Costs(bytes=6))).outcome == "too_large"
