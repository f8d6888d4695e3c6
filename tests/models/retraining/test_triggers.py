"""Is a retrain due: by labels, age and drift, and never on what was tried."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from configs.schema import HoldoutConfig, RetrainConfig, TrainingConfig
from models.retraining import triggers
from models.retraining.triggers import RetrainDecision, decide_retrain

RETRAIN = RetrainConfig(
    min_labels=100, every_labels=None, max_age_days=15, drift_windows=3, drift_violations=2
)
TRAINING = TrainingConfig(min_rows=50, holdout=HoldoutConfig(min_rows=200))
DAY = timedelta(days=1)


def test_each_trigger_starts_a_retrain_by_itself() -> None:
    every = RETRAIN.model_copy(update={"every_labels": 1000})
    first = decide_retrain(RETRAIN, new_labels=99, total_labels=99, training=TRAINING, age=None, drift=[])
    labels = decide_retrain(every, new_labels=1000, total_labels=5000, training=TRAINING, age=DAY, drift=[])
    age = decide_retrain(
        RETRAIN, new_labels=100, total_labels=5000, training=TRAINING, age=15 * DAY, drift=[]
    )
    drift = decide_retrain(
        RETRAIN, new_labels=100, total_labels=5000, training=TRAINING, age=DAY, drift=[True, False, True]
    )
    assert [d.trigger for d in (first, labels, age, drift)] == ["first_model", "labels", "age", "drift"]
    assert {d.verdict for d in (first, labels, age, drift)} == {"retrain"}


def test_of_several_triggers_the_first_names_the_run_and_all_are_reasons() -> None:
    decision = decide_retrain(
        RETRAIN, new_labels=100, total_labels=5000, training=TRAINING, age=20 * DAY, drift=[True, True]
    )
    assert decision.trigger == "drift"
    assert [reason.split()[0] for reason in decision.reasons] == ["drift", "production"]


def test_a_trigger_is_one_function_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_hand(now: triggers.Situation) -> triggers.Finding:
        return triggers.Finding(now.new_labels == 101, "somebody waved", "a wave", countable=False)

    monkeypatch.setattr(triggers, "TRIGGERS", {**triggers.TRIGGERS, "hand": by_hand})
    due = decide_retrain(RETRAIN, new_labels=101, total_labels=5000, training=TRAINING, age=DAY, drift=[])
    wait = decide_retrain(RETRAIN, new_labels=100, total_labels=5000, training=TRAINING, age=DAY, drift=[])
    assert (due.trigger, due.reasons) == ("hand", ("somebody waved",))
    assert wait.recommendation == "need 14 more days or sustained drift or a wave"


def test_what_a_run_has_tried_starts_no_other() -> None:
    every = RETRAIN.model_copy(update={"every_labels": 1000})

    def decide(untried: int, age: timedelta = DAY) -> RetrainDecision:
        return decide_retrain(
            every,
            new_labels=1500,
            total_labels=5000,
            training=TRAINING,
            age=age,
            drift=[],
            untried_labels=untried,
        )

    assert (decide(999).verdict, decide(1000).verdict) == ("wait", "retrain")
    assert decide(600).recommendation == "need 400 more labels or 14 more days or sustained drift"
    assert decide(600).reasons == (
        "nothing makes a retrain due",
        "600 of the 1000 labels that start one (`retrain.every_labels`); 900 more were tried by a run that "
        "promoted nothing",
    )
    assert (decide(1, 15 * DAY).verdict, decide(0, 15 * DAY).verdict) == ("retrain", "wait")
    assert "promoted nothing" in decide(0, 15 * DAY).reasons[-1]


def test_many_labels_that_start_nothing_are_told_with_the_reason() -> None:
    many: dict[str, Any] = {"total_labels": 50_000, "training": TRAINING, "age": DAY, "drift": []}
    never = decide_retrain(RETRAIN, new_labels=40_000, **many)
    assert never.reasons[1] == "40000 new labels, and no number of them starts one (`retrain.every_labels`)"
    later = decide_retrain(RETRAIN.model_copy(update={"every_labels": 50_000}), new_labels=40_000, **many)
    assert later.reasons[1] == "40000 of the 50000 labels that start one (`retrain.every_labels`)"


@pytest.mark.parametrize("drift", [[False, True, True], [True, False, False], []])
def test_drift_that_is_over_or_not_sustained_starts_nothing(drift: list[bool]) -> None:
    decision = decide_retrain(
        RETRAIN, new_labels=500, total_labels=5000, training=TRAINING, age=DAY, drift=drift
    )
    assert decision.verdict == "wait"


def test_the_recommendation_says_what_is_still_needed() -> None:
    every = RETRAIN.model_copy(update={"every_labels": 125})
    wait = decide_retrain(every, new_labels=100, total_labels=5000, training=TRAINING, age=0 * DAY, drift=[])
    few = decide_retrain(RETRAIN, new_labels=75, total_labels=5000, training=TRAINING, age=20 * DAY, drift=[])
    none = decide_retrain(RETRAIN, new_labels=20, total_labels=20, training=TRAINING, age=None, drift=[])
    assert wait.recommendation == "need 25 more labels or 15 more days or sustained drift"
    assert (few.verdict, few.recommendation) == ("collect_labels", "need 25 more labels")
    assert (none.verdict, none.recommendation) == ("collect_labels", "need 79 more labels")


def test_no_retrain_is_due_where_the_holdout_leaves_too_few_rows_to_learn_from() -> None:
    def first(labels: int, **holdout: Any) -> RetrainDecision:
        training = TrainingConfig(holdout=HoldoutConfig.model_validate(holdout))
        return decide_retrain(
            RETRAIN, new_labels=labels, total_labels=labels, training=training, age=None, drift=[]
        )

    assert [first(labels).verdict for labels in (98, 99)] == ["collect_labels", "retrain"]
    assert first(50).recommendation == "need 49 more labels"
    assert "99 leave the 50 rows to learn from" in first(10).reasons[0]
    by_hash = first(50, by="hash", fraction=0.3)
    assert (by_hash.verdict, by_hash.recommendation) == ("collect_labels", "need 22 more labels")
    assert "about 72 leave" in by_hash.reasons[0]


def test_drift_and_age_bring_forward_one_retrain_and_then_wait_for_a_tenth_of_all_labels() -> None:
    def decide(untried: int, *, had: bool = True, every: int | None = None, **more: Any) -> RetrainDecision:
        situation: dict[str, Any] = {"age": 20 * DAY, "drift": [], "total_labels": 5000} | more
        return decide_retrain(
            RETRAIN.model_copy(update={"every_labels": every}),
            new_labels=700, training=TRAINING, untried_labels=untried, was_brought_forward=had, **situation,
        )  # fmt: skip

    assert decide(1, had=False).trigger == "age"
    waiting = decide(499)
    assert (waiting.verdict, waiting.trigger, waiting.recommendation) == ("wait", None, "need 1 more labels")
    assert waiting.reasons == (
        "production is 20 days old; the limit is 15",
        "the retrain that drift or age brought forward has promoted nothing",
    )
    assert decide(500).trigger == "age"
    assert decide(499, age=DAY, drift=[True, True]).verdict == "wait"
    assert decide(500, age=DAY, drift=[True, True]).trigger == "drift"
    assert [decide(untried, total_labels=800).verdict for untried in (99, 100)] == ["wait", "retrain"]
    assert (decide(400, every=400).verdict, decide(400, every=400).trigger) == ("retrain", "labels")
    assert decide(390, every=400).recommendation == "need 10 more labels"


@pytest.mark.parametrize("lasting", ["age", "drift"])
@pytest.mark.parametrize(("per_check", "most"), [(25, 25), (1, 6), (500, 50)])
def test_thirty_days_in_which_nothing_is_promoted_are_no_storm_of_retrains(
    lasting: str, per_check: int, most: int
) -> None:
    labels = untried = 8000
    retrains = 0
    for check in range(30 * 24 * 4):
        labels, untried = labels + per_check, untried + per_check
        decision = decide_retrain(
            RETRAIN,
            new_labels=labels - 5000,
            total_labels=labels,
            training=TRAINING,
            age=(20 if lasting == "age" else 1) * DAY + check * DAY / 96,
            drift=[lasting == "drift"] * 3,
            untried_labels=untried,
            was_brought_forward=retrains > 0,
        )
        if decision.verdict == "retrain":
            retrains, untried = retrains + 1, 0
    assert 2 <= retrains <= most
