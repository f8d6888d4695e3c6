"""Is a retrain due: by labels, age and drift, and never on what was tried."""

from __future__ import annotations

from datetime import timedelta

import pytest

from configs.schema import RetrainConfig
from models.retraining import triggers
from models.retraining.triggers import RetrainDecision, decide_retrain

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


def test_of_several_triggers_the_first_names_the_run_and_all_are_reasons() -> None:
    decision = decide_retrain(
        RETRAIN, new_labels=100, total_labels=5000, min_rows=50, age=20 * DAY, drift=[True, True]
    )
    assert decision.trigger == "drift"
    assert [reason.split()[0] for reason in decision.reasons] == ["drift", "production"]


def test_a_trigger_is_one_function_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_hand(now: triggers.Situation) -> triggers.Finding:
        return triggers.Finding(now.new_labels == 101, "somebody waved", "a wave", countable=False)

    monkeypatch.setattr(triggers, "TRIGGERS", {**triggers.TRIGGERS, "hand": by_hand})
    due = decide_retrain(RETRAIN, new_labels=101, total_labels=5000, min_rows=50, age=DAY, drift=[])
    wait = decide_retrain(RETRAIN, new_labels=100, total_labels=5000, min_rows=50, age=DAY, drift=[])
    assert (due.trigger, due.reasons) == ("hand", ("somebody waved",))
    assert wait.recommendation == "need 14 more days or sustained drift or a wave"


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
