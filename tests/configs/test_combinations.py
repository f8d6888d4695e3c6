"""Estimators with kinds, targets and fits: what cannot work is refused when the file is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from configs.combinations import ABILITIES, epochs_problem
from configs.errors import ConfigError
from configs.loading import parse_use_case
from models.errors import ModelError
from models.estimators.catalogue import ESTIMATORS, estimator_class, make_estimator

FIELDS: dict[str, list[dict[str, Any]]] = {
    "tabular": [{"name": "n", "type": "number"}],
    "text": [{"name": "t", "type": "text"}],
    "mixed": [{"name": "t", "type": "text"}, {"name": "n", "type": "number"}],
    "image": [{"name": "i", "type": "image", "shape": [28, 28]}],
}


def describe(kind: str, estimator: str, task: str = "multiclass", **changes: Any) -> dict[str, Any]:
    """A configuration."""
    raw: dict[str, Any] = {
        "name": "any",
        "title": "Any",
        "kind": kind,
        "record": {"fields": FIELDS[kind]},
        "target": {"task": task},
        "model": {"estimator": estimator},
    }
    if task == "multilabel":
        raw["gate"] = {"metric": "f1_micro"}
    return raw | changes


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
@pytest.mark.parametrize("kind", FIELDS)
@pytest.mark.parametrize("estimator", ABILITIES)
def test_every_combination_is_read_or_refused_by_name(estimator: str, kind: str, task: str) -> None:
    able = ABILITIES[estimator]
    raw, source = describe(kind, estimator, task), Path("any.yaml")
    if kind in able.kinds and (able.multilabel or task == "multiclass"):
        assert parse_use_case(raw, source=source).model.estimator == estimator
        return
    with pytest.raises(ConfigError, match=f"any.yaml: .*model.estimator {estimator} ") as refused:
        parse_use_case(raw, source=source)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (
            describe("mixed", "linear_text"),
            "model.estimator linear_text learns from kind text, got kind mixed; for kind mixed and a "
            "multiclass target use catboost, logistic, keras_mixed, catboost_mixed, "
            "logistic_batches, xgboost or sklearn",
        ),
        (
            describe("tabular", "catboost", "multilabel"),
            "model.estimator catboost gives one label a row, got task multilabel; for kind tabular and a "
            "multilabel target use keras_mixed or sklearn",
        ),
        (
            describe(
                "tabular",
                "logistic",
                training={"challengers": [{"name": "full"}, {"name": "gentle", "fit": "warm"}]},
            ),
            "training.challengers: 'gentle' has fit warm, and model.estimator logistic cannot go on from "
            "production; use fit full, or catboost, keras_mixed or sklearn",
        ),
    ],
)
def test_the_message_says_what_to_use(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_use_case(raw, source=Path("any.yaml"))
    assert str(refused.value).endswith(message)


def test_a_challengers_own_estimator_is_held_to_the_same() -> None:
    pool = [{"name": "full"}, {"name": "pictures", "model": {"estimator": "keras_cnn"}}]
    raw = describe("tabular", "catboost", training={"challengers": pool})
    with pytest.raises(ConfigError) as refused:
        parse_use_case(raw, source=Path("any.yaml"))
    told = (
        "any.yaml: training.challengers: 'pictures': model.estimator keras_cnn learns from kind image, got "
    )
    assert str(refused.value).startswith(told)


def test_one_that_goes_on_by_its_own_estimator_is_held_to_that_alone() -> None:
    own = {"name": "gentle", "fit": "warm", "model": {"estimator": "catboost"}}
    pool = [{"name": "full"}, own]
    raw = describe("tabular", "logistic", training={"challengers": pool})
    parse_use_case(raw, source=Path("any.yaml"))
    own["model"] = {"estimator": "logistic"}
    with pytest.raises(ConfigError, match=r"'gentle' has fit warm, .* logistic cannot go on"):
        parse_use_case(raw, source=Path("any.yaml"))


def test_regression_is_refused_with_a_sentence() -> None:
    with pytest.raises(ConfigError, match=r"target\.task: got 'regression'; .* Regression is not supported"):
        parse_use_case(describe("tabular", "catboost", "regression"), source=Path("any.yaml"))


def test_the_table_is_that_of_the_estimators() -> None:
    assert set(ABILITIES) == set(ESTIMATORS)
    for name, able in ABILITIES.items():
        estimator = estimator_class(name)
        assert able.multilabel == getattr(estimator, "multilabel", False), name
        assert able.warm == hasattr(estimator, "update"), name


@pytest.mark.parametrize(("fit", "key"), [("full", "epochs"), ("warm", "update_epochs")])
@pytest.mark.parametrize("estimator", ABILITIES)
def test_those_with_epochs_are_those_that_take_them(estimator: str, fit: str, key: str) -> None:
    params = {"class": "sklearn.linear_model.SGDClassifier"} if estimator == "sklearn" else {}
    try:
        make_estimator(estimator, {**params, key: 3})
        takes = True
    except ModelError:
        takes = False
    assert (fit in ABILITIES[estimator].epochs) is takes


@pytest.mark.parametrize(
    ("estimator", "fits", "told"),
    [
        ("linear_text", ["full", "warm"], None),
        ("catboost_mixed", ["warm"], None),
        (
            "catboost_mixed",
            ["full", "warm"],
            "model.estimator catboost_mixed has no epochs; of kind mixed have: keras_mixed",
        ),
        (
            "catboost",
            [],
            "model.estimator catboost has no epochs; of kind mixed have: keras_mixed",
        ),
        ("mypackage.models:Net", ["full"], None),
    ],
)
def test_epochs_are_asked_of_those_that_have_some(estimator: str, fits: list[str], told: str | None) -> None:
    problem = epochs_problem(estimator, fits, "mixed")
    assert problem == told
