"""Every named outcome of every decision, and the laws they obey."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.schema import DriftConfig, GateConfig, RetrainConfig
from models.decisions import best, decide_drift, hold_back, judge, judge_without_production
from models.due import RetrainDecision, decide_retrain
from models.gate_decision import GateDecision
from models.guesses import Guess

GATE = GateConfig(metric="accuracy", min_rows=100, confidence=0.9)
BETTER = np.linspace(0.01, 0.05, 1000)
UNSURE = np.linspace(-0.02, 0.05, 1000)


def test_the_first_model_is_promoted_on_however_few_rows() -> None:
    decision = judge(GATE, rows=3, challenger=0.4, production=None, differences=None)
    assert (decision.verdict, decision.outcome) == ("promote", "first_model")


def without_production(
    *guesses: tuple[float, np.ndarray | None], challenger: float = 0.9, rows: int = 500, challengers: int = 1
) -> GateDecision:
    made = [Guess(f"guess {place}", *one) for place, one in enumerate(guesses)]  # type: ignore[arg-type]
    return judge_without_production(
        GATE, rows=rows, challenger=challenger, guesses=made, error="bad file", challengers=challengers
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
    guesses = [(0.5, np.linspace(-0.1, 0.1, 500) + shift) for shift in shifts]
    decision = without_production(*guesses, challenger=challenger, rows=rows)
    if decision.verdict == "promote":
        assert rows >= GATE.min_rows
        assert shifts
        assert min(np.quantile(differences, 0.05) for _, differences in guesses) > 0


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


DRIFT = DriftConfig(threshold=0.1, share=0.5, min_rows=100)


def test_drift_needs_its_share_of_columns() -> None:
    one = decide_drift(
        DRIFT, {"a": ("wasserstein", 0.2), "b": ("wasserstein", 0.0), "c": ("wasserstein", 0.0)},
        reference_rows=500, current_rows=500,
    )  # fmt: skip
    two = decide_drift(
        DRIFT, {"a": ("wasserstein", 0.2), "b": ("wasserstein", 0.0)}, reference_rows=500, current_rows=500
    )
    assert (one.verdict, two.verdict) == ("no_drift", "drift")
    assert two.columns["a"].drifted
    assert not two.columns["b"].drifted


def test_a_low_p_value_is_drift_and_a_high_one_is_not() -> None:
    low = decide_drift(DRIFT, {"a": ("ks", 0.01)}, reference_rows=500, current_rows=500)
    high = decide_drift(DRIFT, {"a": ("ks", 0.6)}, reference_rows=500, current_rows=500)
    assert (low.verdict, high.verdict) == ("drift", "no_drift")


def test_few_records_show_no_drift_and_no_absence_of_it() -> None:
    decision = decide_drift(DRIFT, {"a": ("wasserstein", 9.0)}, reference_rows=500, current_rows=99)
    assert decision.verdict == "too_little_evidence"
    assert decision.share is None


RETRAIN = RetrainConfig(
    min_labels=100, every_labels=None, max_age_days=15, drift_windows=3, drift_violations=2
)
DAY = timedelta(days=1)


def test_each_trigger_starts_a_retrain_by_itself() -> None:
    every = RETRAIN.model_copy(update={"every_labels": 1000})
    first = decide_retrain(RETRAIN, new_labels=60, total_labels=60, min_rows=50, age=None, drift=[])
    labels = decide_retrain(every, new_labels=1000, total_labels=5000, min_rows=50, age=DAY, drift=[])
    age = decide_retrain(RETRAIN, new_labels=100, total_labels=5000, min_rows=50, age=15 * DAY, drift=[])
    drift = decide_retrain(
        RETRAIN, new_labels=100, total_labels=5000, min_rows=50, age=DAY, drift=[True, False, True]
    )
    assert [d.trigger for d in (first, labels, age, drift)] == ["first_model", "labels", "age", "drift"]
    assert {d.verdict for d in (first, labels, age, drift)} == {"retrain"}


def test_what_a_run_has_tried_starts_no_other() -> None:
    every = RETRAIN.model_copy(update={"every_labels": 1000})

    def decide(untried: int, age: timedelta = DAY) -> RetrainDecision:
        return decide_retrain(
            every,
            new_labels=1500,
            total_labels=5000,
            min_rows=50,
            age=age,
            drift=[],
            untried_labels=untried,
        )

    assert (decide(999).verdict, decide(1000).verdict) == ("wait", "retrain")
    assert decide(600).recommendation == "need 400 more labels or 14 more days or sustained drift"
    assert (decide(1, 15 * DAY).verdict, decide(0, 15 * DAY).verdict) == ("retrain", "wait")
    assert "promoted nothing" in decide(0, 15 * DAY).reasons[-1]


@pytest.mark.parametrize("drift", [[False, True, True], [True, False, False], []])
def test_drift_that_is_over_or_not_sustained_starts_nothing(drift: list[bool]) -> None:
    decision = decide_retrain(RETRAIN, new_labels=500, total_labels=5000, min_rows=50, age=DAY, drift=drift)
    assert decision.verdict == "wait"


def test_the_recommendation_says_what_is_still_needed() -> None:
    every = RETRAIN.model_copy(update={"every_labels": 125})
    wait = decide_retrain(every, new_labels=100, total_labels=5000, min_rows=50, age=0 * DAY, drift=[])
    few = decide_retrain(RETRAIN, new_labels=75, total_labels=5000, min_rows=50, age=20 * DAY, drift=[])
    none = decide_retrain(RETRAIN, new_labels=20, total_labels=20, min_rows=50, age=None, drift=[])
    assert wait.recommendation == "need 25 more labels or 15 more days or sustained drift"
    assert (few.verdict, few.recommendation) == ("collect_labels", "need 25 more labels")
    assert (none.verdict, none.recommendation) == ("collect_labels", "need 30 more labels")
