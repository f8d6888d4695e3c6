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


BAYES = named("sklearn.naive_bayes.GaussianNB")
IN_THE_FIT: list[tuple[str, dict[str, Any], str]] = [
    ("tabular", named("sklearn.neighbors.RadiusNeighborsClassifier"), "giving a label for outliers"),
    ("tabular", named("sklearn.multioutput.MultiOutputClassifier", estimator=BAYES), "raises ValueError"),
    ("tabular", named("sklearn.multioutput.ClassifierChain", estimator=BAYES), "raises IndexError"),
    (
        "tabular",
        named("sklearn.model_selection.GridSearchCV", estimator=BAYES, param_grid={"foo": [1]}),
        "Invalid parameter 'foo'",
    ),
    (
        "tabular",
        {"steps": [named("sklearn.preprocessing.StandardScaler", name="memory"), "sklearn.svm.SVC"]},
        "Estimator names conflict",
    ),
    ("tabular", named("sklearn.linear_model.LogisticRegression", penalty="l1"), "supports only 'l2'"),
    ("tabular", named("sklearn.naive_bayes.MultinomialNB"), "Negative values"),
]
DEPENDS_ON_ROWS: list[tuple[str, dict[str, Any]]] = [
    ("tabular", {"steps": [named("sklearn.decomposition.PCA", n_components=500), "sklearn.svm.SVC"]}),
    ("tabular", named("sklearn.neighbors.KNeighborsClassifier", n_neighbors=5000)),
    (
        "tabular",
        named("sklearn.neighbors.RadiusNeighborsClassifier", outlier_label="most_frequent", radius=9.0),
    ),
    ("text", named("sklearn.naive_bayes.MultinomialNB")),
    ("image", named("sklearn.naive_bayes.MultinomialNB")),
    (
        "tabular",
        named("sklearn.pipeline.Pipeline", steps=["sklearn.preprocessing.StandardScaler", "sklearn.svm.SVC"]),
    ),
]


@pytest.mark.parametrize(("kind", "params", "told"), IN_THE_FIT)
def test_what_a_class_says_in_its_fit_only_is_said_before(
    kind: str, params: dict[str, Any], told: str
) -> None:
    found = problem(kind, params)
    assert found is not None
    assert found.startswith("model.params: sklearn (sklearn.")
    assert told in found


@pytest.mark.parametrize(("kind", "params"), DEPENDS_ON_ROWS)
def test_what_depends_on_how_many_rows_there_are_is_left_to_the_fit(
    kind: str, params: dict[str, Any]
) -> None:
    assert problem(kind, params) is None


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("application", "regression", "regression is not supported"),
        ("objective", "root_mean_squared_error", "regression is not supported"),
        ("objective", "none", "one of binary, multiclass"),
        ("num_class", 7, "the classes are those of the target"),
        ("early_stopping_rounds", 5, "no held-out rows to stop by"),
        ("n_estimators", -3, "a whole number, at least 1"),
        ("num_iterations", 0, "a whole number, at least 1"),
        ("num_leaves", 1, "Check failed"),
    ],
)
def test_what_lightgbm_takes_and_cannot_learn_by_is_refused(name: str, value: Any, told: str) -> None:
    pytest.importorskip("lightgbm")
    assert told in str(problem("tabular", named("lightgbm.LGBMClassifier", **{name: value})))


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("objective", "binary:logitraw", "one of binary:logistic"),
        ("early_stopping_rounds", 5, "no held-out rows to stop by"),
        ("n_estimators", -3, "a whole number, at least 1"),
        ("max_depth", -1, "should be greater equal to 0"),
    ],
)
def test_what_xgboost_takes_and_cannot_learn_by_is_refused(name: str, value: Any, told: str) -> None:
    pytest.importorskip("xgboost")
    assert told in str(problem("tabular", named("xgboost.XGBClassifier", **{name: value})))


def test_a_forest_of_xgboost_is_learned() -> None:
    pytest.importorskip("xgboost")
    assert problem("tabular", named("xgboost.XGBRFClassifier")) is None


def test_catboost_is_an_estimator_of_its_own() -> None:
    found = problem("tabular", named("catboost.CatBoostClassifier", iterations=50))
    assert "CatBoost is model.estimator: catboost" in str(found)
