"""Every named outcome of every decision, and the laws they obey."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.schema import GateConfig
from models.gate.baselines import Baseline
from models.gate.bootstrap import Interval
from models.gate.checks import judge
from models.gate.decision import Gain, GateDecision, best, share_spent
from models.gate.forgetting import Forgetting, weigh_forgetting
from models.gate.uncompared import hold_back, judge_without_production
from models.shadows.evidence import RecordGain

GATE = GateConfig(metric="accuracy", min_rows=100, confidence=0.9)
BETTER = np.linspace(0.01, 0.05, 1000)
UNSURE = np.linspace(-0.02, 0.05, 1000)


def test_the_first_model_is_promoted_on_however_few_rows() -> None:
    decision = judge(GATE, rows=3, challenger=0.4, production=None, differences=None)
    assert (decision.verdict, decision.outcome) == ("promote", "first_model")


def without_production(
    *baselines: tuple[float, np.ndarray | None],
    challenger: float = 0.9,
    rows: int = 500,
    challengers: int = 1,
) -> GateDecision:
    made = [Baseline(f"guess {place}", *one) for place, one in enumerate(baselines)]  # type: ignore[arg-type]
    return judge_without_production(
        GATE, rows=rows, challenger=challenger, baselines=made, error="bad file", challengers=challengers
    )


def test_a_production_that_cannot_answer_is_replaced_by_what_beats_the_majority() -> None:
    decision = without_production((0.6, BETTER), (0.55, BETTER + 0.1))
    assert (decision.verdict, decision.outcome) == ("promote", "beats_majority")
    assert "bad file" in decision.reason
    assert "guess 0" in decision.reason
    assert (decision.majority, decision.production) == (0.6, None)
    assert decision.difference == pytest.approx(0.3)
    assert decision.interval is not None
    assert decision.interval.low > 0


def test_the_guess_that_is_beaten_least_surely_decides() -> None:
    decision = without_production((0.6, BETTER), (0.89, UNSURE))
    assert (decision.verdict, decision.outcome) == ("too_little_evidence", "majority_not_proven")
    assert decision.majority == 0.89
    assert "guess 1" in decision.reason


def test_without_production_what_knows_nothing_is_rejected() -> None:
    below = without_production((0.95, -BETTER), (0.6, BETTER))
    as_good = without_production((0.9, np.zeros(100)))
    assert (below.verdict, below.outcome) == ("reject", "below_majority")
    assert (as_good.verdict, as_good.outcome) == ("reject", "below_majority")


def test_without_production_few_rows_and_undefined_scores_decide_nothing() -> None:
    few = without_production((0.0, BETTER), rows=99, challenger=1.0)
    undefined = without_production((math.nan, BETTER), (0.5, BETTER))
    nothing = without_production()
    assert (few.verdict, few.outcome) == ("too_little_evidence", "too_few_rows")
    assert "bad file" in few.reason
    assert (undefined.verdict, undefined.outcome) == ("too_little_evidence", "no_score")
    assert (nothing.verdict, nothing.outcome) == ("too_little_evidence", "no_score")


def test_without_production_more_challengers_need_a_clearer_gain() -> None:
    close = np.linspace(-0.003, 0.1, 1000)
    assert without_production((0.8, close)).verdict == "promote"
    assert without_production((0.8, close), challengers=3).verdict == "too_little_evidence"


def test_production_that_is_gone_holds_everything_back() -> None:
    decision = hold_back(GATE, rows=500, challenger=1.0, reason="it was deleted")
    assert (decision.verdict, decision.outcome, decision.reason) == (
        "hold_back", "production_gone", "it was deleted",
    )  # fmt: skip
    assert best({"a": decision, "b": without_production((0.6, BETTER))}) == "b"


@given(
    rows=st.integers(0, 1000), challenger=st.floats(0, 1), shifts=st.lists(st.floats(-0.5, 0.5), max_size=3)
)
def test_nothing_replaces_a_failed_production_unless_every_guess_is_beaten(
    rows: int, challenger: float, shifts: list[float]
) -> None:
    baselines = [(0.5, np.linspace(-0.1, 0.1, 500) + shift) for shift in shifts]
    decision = without_production(*baselines, challenger=challenger, rows=rows)
    if decision.verdict == "promote":
        assert rows >= GATE.min_rows
        assert shifts
        assert min(np.quantile(differences, 0.05) for _, differences in baselines) > 0


def test_few_rows_decide_nothing_however_clear_they_are() -> None:
    decision = judge(GATE, rows=99, challenger=1.0, production=0.0, differences=BETTER)
    assert (decision.verdict, decision.outcome) == ("too_little_evidence", "too_few_rows")


@pytest.mark.parametrize(
    ("challenger", "production", "differences"),
    [(math.nan, 0.5, BETTER), (0.5, math.nan, BETTER), (0.5, 0.4, np.full(10, np.nan)), (0.5, 0.4, None)],
)
def test_an_undefined_score_decides_nothing(
    challenger: float, production: float, differences: np.ndarray | None
) -> None:
    decision = judge(GATE, rows=200, challenger=challenger, production=production, differences=differences)
    assert (decision.verdict, decision.outcome) == ("too_little_evidence", "no_score")


def test_a_clear_gain_is_promoted_with_its_interval() -> None:
    decision = judge(GATE, rows=200, challenger=0.93, production=0.90, differences=BETTER)
    assert (decision.verdict, decision.outcome) == ("promote", "beats_production")
    assert decision.interval is not None
    assert decision.interval.low == pytest.approx(np.quantile(BETTER, 0.05))
    assert decision.interval.level == pytest.approx(0.9)


def test_a_gain_that_chance_explains_is_not_proven() -> None:
    decision = judge(GATE, rows=200, challenger=0.92, production=0.90, differences=UNSURE)
    assert (decision.verdict, decision.outcome) == ("too_little_evidence", "not_proven")
    assert "more labels" in decision.reason


def test_figures_that_differ_are_not_shown_as_the_same() -> None:
    decision = judge(GATE, rows=200, challenger=0.764213, production=0.764209, differences=UNSURE)
    assert decision.outcome == "not_proven"
    assert "accuracy 0.764213 against 0.764209 on 200 rows, gain +0.000004 [" in decision.reason
    differences = np.linspace(0.00001, 0.05, 1000)
    decision = judge(GATE, rows=200, challenger=0.9, production=0.88, differences=differences - 0.0025)
    assert decision.outcome == "beats_production"
    assert "gain +0.02000 [+0.00001, " in decision.reason


def test_what_only_rounding_tells_apart_is_a_tie() -> None:
    challenger, production = sum([0.1] * 10), 1.0
    assert challenger != production
    decision = judge(GATE, rows=200, challenger=challenger, production=production, differences=UNSURE)
    assert (decision.outcome, decision.difference) == ("tie", 0.0)
    assert decision.reason.startswith("exactly as good as production")


def test_a_tie_and_a_loss_are_rejected() -> None:
    tie = judge(GATE, rows=200, challenger=0.9, production=0.9, differences=np.zeros(100))
    worse = judge(GATE, rows=200, challenger=0.8, production=0.9, differences=-BETTER)
    assert (tie.verdict, tie.outcome) == ("reject", "tie")
    assert (worse.verdict, worse.outcome) == ("reject", "worse")


def test_a_gain_below_the_least_gain_is_not_enough() -> None:
    gate = GATE.model_copy(update={"min_gain": 0.02})
    decision = judge(gate, rows=200, challenger=0.93, production=0.90, differences=BETTER)
    assert decision.outcome == "not_proven"


def test_more_challengers_need_a_clearer_gain() -> None:
    differences = np.linspace(-0.003, 0.1, 1000)
    alone = judge(GATE, rows=200, challenger=0.95, production=0.9, differences=differences)
    among_three = judge(
        GATE, rows=200, challenger=0.95, production=0.9, differences=differences, challengers=3
    )
    assert alone.verdict == "promote"
    assert among_three.verdict == "too_little_evidence"


def test_lower_is_better_for_log_loss() -> None:
    gate = GateConfig(metric="log_loss")
    decision = judge(gate, rows=200, challenger=0.2, production=0.5, differences=BETTER)
    assert decision.verdict == "promote"
    assert decision.difference == pytest.approx(0.3)


@given(
    rows=st.integers(0, 1000),
    challenger=st.floats(0, 1),
    production=st.floats(0, 1),
    shift=st.floats(-0.5, 0.5),
    challengers=st.integers(1, 5),
)
def test_nothing_is_promoted_over_production_unless_the_interval_is_above_zero(
    rows: int, challenger: float, production: float, shift: float, challengers: int
) -> None:
    decision = judge(
        GATE,
        rows=rows,
        challenger=challenger,
        production=production,
        differences=np.linspace(-0.1, 0.1, 500) + shift,
        challengers=challengers,
    )
    if decision.verdict == "promote":
        assert rows >= GATE.min_rows
        assert decision.interval is not None
        assert decision.interval.low > 0


def decided(verdict: str, difference: float | None, challenger: float = 0.5) -> GateDecision:
    return GateDecision(verdict, "tie", "accuracy", 100, challenger, 0.5, difference, None, 0.0, "")  # type: ignore[arg-type]


def test_the_best_challenger_is_a_promotable_one_with_the_largest_gain() -> None:
    decisions = {
        "a": decided("too_little_evidence", 0.9),
        "b": decided("promote", 0.1),
        "c": decided("promote", 0.2),
    }
    assert best(decisions) == "c"
    assert best({"low": decided("promote", None, 0.6), "high": decided("promote", None, 0.7)}) == "high"
    with pytest.raises(ValueError, match="no challenger"):
        best({})


def record(lost: float = 0.03) -> RecordGain:
    return RecordGain(rows=1200, periods=4, gain=0.012, error=0.002, lower=0.01, lost=lost, line=0.01, age=3)


def judged(
    *,
    gain: float = 0.01,
    differences: np.ndarray = UNSURE,
    record: RecordGain | None = None,
    tries: int = 0,
    original: Forgetting | None = None,
    newest: Gain | None = None,
) -> GateDecision:
    return judge(
        GATE,
        rows=500,
        challenger=0.8 + gain,
        production=0.8,
        differences=differences,
        record=record,
        tries=tries,
        original=original,
        newest=newest,
    )


def test_a_record_promotes_what_these_rows_alone_do_not_prove() -> None:
    decision = judged(record=record())
    assert (decision.verdict, decision.outcome) == ("promote", "record_beats_production")
    assert "1200 rows of 4 periods" in decision.reason
    assert decision.record == record()
    assert judged().outcome == "not_proven"


def test_a_record_promotes_what_is_a_little_worse_here_but_nothing_that_is_proven_worse() -> None:
    assert judged(gain=-0.002, differences=UNSURE - 0.01, record=record()).verdict == "promote"
    lost = judged(gain=-0.03, differences=-BETTER, record=record())
    assert (lost.verdict, lost.outcome) == ("reject", "worse")
    assert "gain +0.0120 in Brier score" in lost.reason


def test_what_was_held_out_long_ago_does_not_speak_against_a_record() -> None:
    newest = Gain(0.3, Interval(0.2, 0.4, 0.9), "accuracy 0.8 against 0.5 on the newest rows", "")
    turned = judged(gain=-0.03, differences=-BETTER, record=record(), newest=newest)
    assert (turned.verdict, turned.outcome) == ("promote", "record_beats_production")
    assert "itself accuracy 0.8 against 0.5 on the newest rows" in turned.reason
    lost = replace(newest, gain=-0.3, interval=Interval(-0.4, -0.2, 0.9))
    assert judged(record=record(), newest=lost).verdict != "promote"
    assert judged(gain=-0.03, differences=-BETTER, newest=newest).outcome == "worse"


def test_a_record_below_the_line_promotes_nothing_and_is_told() -> None:
    decision = judged(record=record(lost=0.005))
    assert (decision.verdict, decision.outcome) == ("too_little_evidence", "not_proven")
    assert "the line is +0.0100" in decision.reason


def test_what_forgets_is_not_promoted_by_its_record_either() -> None:
    forgotten = weigh_forgetting(
        GATE, rows=300, challenger=0.6, production=0.8, differences=np.full(1000, -0.2)
    )
    decision = judged(record=record(), original=forgotten)
    assert (decision.verdict, decision.outcome) == ("reject", "forgets")


def test_each_further_try_against_one_production_asks_for_more() -> None:
    random = np.random.default_rng(5).normal(0.02, 0.01, 2000)
    intervals = [judged(gain=0.02, differences=random, tries=tries).interval for tries in range(6)]
    levels = [one.level for one in intervals if one is not None]
    assert levels[0] == pytest.approx(0.9)
    assert levels == sorted(levels)
    assert judged(gain=0.02, differences=random).verdict == "promote"
    assert judged(gain=0.02, differences=random, tries=5).verdict == "too_little_evidence"


def test_with_a_record_one_look_at_held_out_rows_is_believed_less() -> None:
    random = np.random.default_rng(5).normal(0.02, 0.01, 2000)
    decision = judged(gain=0.02, differences=random, record=record(lost=0.0))
    assert decision.interval is not None
    assert decision.interval.level == pytest.approx(0.998)
    assert decision.verdict == "too_little_evidence"
    clear = judged(gain=0.2, differences=random + 0.2, record=record(lost=0.0))
    assert (clear.verdict, clear.outcome) == ("promote", "beats_production")


def test_all_later_tries_together_err_no_more_often_than_the_first() -> None:
    later = sum(share_spent(tries) for tries in range(1, 100_000))
    assert share_spent(0) == 1
    assert later == pytest.approx(1, abs=1e-4)
