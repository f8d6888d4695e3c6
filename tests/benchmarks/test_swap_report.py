"""What the swap benchmark makes of answers whose story is known."""

from __future__ import annotations

import math

import orjson
import pytest

from benchmarks.harness.load import Outcome, Plan, Run
from benchmarks.harness.swap_report import Move, judge, summarise


def outcome_of(timeline: list[tuple[float, float, int]]) -> Outcome:
    return Outcome(len(timeline), 0, 10.0, 1, 1, 1, 1, 0.1, {"200": len(timeline)}, timeline, 0)


def answers(version: int, start: float, stop: float, latency: float = 2.0) -> list[tuple[float, float, int]]:
    """One every 10 ms."""
    return [(start + step / 100, latency, version) for step in range(round((stop - start) * 100))]


PROMOTION = Move("by_promotion", 2, begun=5.0, moved=5.2, ended=7.0)


def test_a_swap_ends_with_the_last_answer_of_the_old_version() -> None:
    timeline = [*answers(1, 0, 5.3), (5.4, 40.0, 2), *answers(2, 5.41, 7)]
    summary = summarise(outcome_of(timeline), [PROMOTION])
    (swap,) = summary.swaps
    assert swap.seconds == pytest.approx(0.09)
    assert swap.with_call_seconds == pytest.approx(0.29)
    assert swap.worst_ms == 40.0
    assert (summary.steady_p99_ms, summary.steady_max_ms) == (2.0, 2.0)
    assert [target.name for target in judge(summary) if not target.met] == [
        "worst latency in a swap, of the steady p99"
    ]


def test_a_version_that_stays_has_not_swapped() -> None:
    summary = summarise(outcome_of(answers(1, 0, 7)), [PROMOTION])
    assert math.isinf(summary.swaps[0].seconds)
    assert "slowest promotion, to all workers" in [target.name for target in judge(summary) if not target.met]


def test_a_version_that_nobody_named_is_counted() -> None:
    timeline = [*answers(1, 0, 5.3), (5.35, 2.0, 3), *answers(2, 5.4, 7)]
    assert summarise(outcome_of(timeline), [PROMOTION]).swaps[0].strays == 1


@pytest.mark.parametrize(("named", "scores", "wrong"), [(1, 0.9, 0), (2, 0.2, 0), (2, 0.9, 1)])
def test_an_answer_is_held_to_the_version_it_names(named: int, scores: float, wrong: int) -> None:
    run = Run(Plan(1, "/", ["{}"], warmup=-1.0, expected={"1": [[0.9, 0.1]], "2": [[0.2, 0.8]]}))
    content = {
        "predictions": [{"scores": {"yes": scores, "no": 1 - scores}}],
        "model": {"name": "any", "version": named},
    }
    run.note(run.begin + 1, run.begin, 0, b"HTTP/1.1 200 OK\r\n\r\n" + orjson.dumps(content))
    assert run.wrong == wrong
    assert [version for _, _, version in run.kept] == [named]
