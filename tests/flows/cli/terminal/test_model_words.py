"""What a run made, in words: what serves is not always what was configured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from configs.loading import load_use_case
from configs.schema import ChallengerConfig, HoldoutConfig, ModelConfig, UseCase
from flows.cli.terminal.model_words import estimator_words, judged_words, maker_words, serving_line

SCORES = {"blend": {"accuracy": 0.875}, "plain": {"accuracy": 0.84}}


@pytest.fixture
def plans(configs: Path) -> UseCase:
    one = load_use_case(configs / "plans.yaml")
    gate = one.gate.model_copy(update={"metric": "accuracy"})
    pool = (one.training.challengers[0].model_copy(update={"name": "blend"}),)
    training = one.training.model_copy(update={"challengers": pool})
    return one.model_copy(update={"gate": gate, "training": training})


def result(**changes: Any) -> dict[str, Any]:
    made = {"challenger": "blend", "version": 1, "scores": SCORES, "holdout_rows": 1200}
    return {**made, **changes}


def test_what_was_configured_serves(plans: UseCase) -> None:
    made = maker_words(plans, "blend")
    assert made.startswith(plans.model.estimator)
    assert serving_line(plans, result()) == (
        f"version 1 serves: {made} (challenger 'blend'), accuracy 0.875 on 1,200 held-out rows; "
        "a plain model has 0.840"
    )


@pytest.mark.parametrize(
    ("proven", "words"), [(False, "though chance may explain it"), (True, "and chance does not explain it")]
)
def test_a_plain_model_that_is_better_is_said_to_be(plans: UseCase, proven: bool, words: str) -> None:
    line = serving_line(plans, result(plain={"better": True, "proven": proven}))
    assert line.endswith(f"; a plain model has 0.840, which is better, {words}")


def test_a_plain_model_that_serves_is_called_so(plans: UseCase) -> None:
    line = serving_line(plans, result(challenger="plain"))
    assert line.startswith(
        "version 1 serves: a plain model (HistGradientBoostingClassifier), accuracy 0.840 on 1,200"
    )
    assert "as it is surely better: " in line
    assert "(challenger 'blend') 0.875 (`training.baseline`)" in line


def test_without_a_plain_model_or_a_score_nothing_is_said_of_them(plans: UseCase) -> None:
    line = serving_line(plans, result(scores={}))
    assert line.endswith("(challenger 'blend')")


def test_a_challenger_may_have_a_model_of_its_own(plans: UseCase) -> None:
    own = ChallengerConfig(name="own", model=ModelConfig(estimator="logistic"))
    training = plans.training.model_copy(update={"challengers": (own,)})
    assert maker_words(plans.model_copy(update={"training": training}), "own") == "logistic"
    assert maker_words(plans, "gone") == "as configured before"


def test_steps_have_the_name_of_their_estimator() -> None:
    assert estimator_words(ModelConfig(estimator="sklearn", params={"steps": ["a.B"]})) == "sklearn"


@pytest.mark.parametrize(
    ("holdout", "has_production", "words"),
    [
        (
            HoldoutConfig(by="time", fraction=0.2, min_rows=100),
            True,
            "100 (20% of those that came since production; 250 at least, 5,000 at most)",
        ),
        (
            HoldoutConfig(by="time", fraction=0.2, min_rows=100),
            False,
            "100 (20% of all; 100 at least, 5,000 at most)",
        ),
        (
            HoldoutConfig(by="hash", fraction=0.3, min_rows=300),
            True,
            "100 (of the 30% of all that are never learned from, what is new; 300 at least, 5,000 at most)",
        ),
    ],
)
def test_rows_judged_on_have_their_rule(
    plans: UseCase, holdout: HoldoutConfig, has_production: bool, words: str
) -> None:
    training = plans.training.model_copy(update={"holdout": holdout})
    gate = plans.gate.model_copy(update={"min_rows": 250})
    given = plans.model_copy(update={"training": training, "gate": gate})
    assert judged_words(given, 100, has_production=has_production) == words
