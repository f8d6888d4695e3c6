"""What a configuration asks of its estimator is looked at before anything is fitted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from configs.loading import parse_use_case
from models.errors import NotConfigurable
from models.laws.configured import ensure_learnable, model_problem
from tests.configs.test_combinations import describe
from tests.models.estimators.scikit.rows import FOREST, HIST, named

SGD = named("sklearn.linear_model.SGDClassifier", loss="log_loss")
WARM = [{"name": "full"}, {"name": "gentle", "fit": "warm"}]


def problem(kind: str, params: dict[str, Any], task: str = "multiclass", **changes: Any) -> str | None:
    raw = describe(kind, "sklearn", task, model={"estimator": "sklearn", "params": params}, **changes)
    return model_problem(parse_use_case(raw, source=Path("any.yaml")))


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
@pytest.mark.parametrize("kind", ["tabular", "mixed", "image"])
def test_a_class_learns_what_is_numbers(kind: str, task: str) -> None:
    assert problem(kind, HIST, task) is None


def test_a_class_that_takes_no_texts_is_refused() -> None:
    assert "takes no sparse rows" in str(problem("text", HIST))
    assert problem("text", named("sklearn.svm.LinearSVC")) is None


@pytest.mark.parametrize(("params", "refused"), [(FOREST, True), (SGD, False)])
def test_a_warm_start_is_asked_of_the_class(params: dict[str, Any], refused: bool) -> None:
    found = problem("tabular", params, training={"challengers": WARM})
    assert ("'gentle' has fit warm" in str(found)) is refused


def test_the_parameters_of_a_challenger_are_looked_at_too() -> None:
    own = {"name": "wide", "model": {"estimator": "sklearn", "params": {**FOREST, "n_estimator": 3}}}
    assert "is 'n_estimators' meant?" in str(
        problem("tabular", FOREST, training={"challengers": [{"name": "full"}, own]})
    )
    assert "params.magic" in str(
        problem("tabular", FOREST, training={"challengers": [{"name": "full", "params": {"magic": 1}}]})
    )


def test_the_use_case_is_named() -> None:
    raw = describe("tabular", "catboost", model={"estimator": "catboost", "params": {"dept": 3}})
    with pytest.raises(NotConfigurable, match=r"use case 'any': model\.params\.dept: .*is 'depth' meant"):
        ensure_learnable([parse_use_case(raw, source=Path("any.yaml"))])
