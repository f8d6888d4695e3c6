"""Every law, for each use case in `configs/` that it is for, and for estimators that none of them names."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from configs.loading import load_use_cases
from configs.schema import ModelConfig, UseCase
from configs.settings import CHECKOUT
from models.estimators.catalogue import ESTIMATORS
from tests.contract.cases import Case, make_case
from tests.contract.laws import LAWS, SEEDLESS_ESTIMATORS, draws_nothing
from tests.contract.pictures_by_network import BY_NETWORK, with_tiny_network
from tests.contract.texts_by_meaning import BY_MEANING, with_tiny_model
from tests.features.meaning.tiny import HAS_TOKENIZERS

USE_CASES = load_use_cases([CHECKOUT / "configs"])
MIXED = UseCase.model_validate(
    {
        "name": "mixed",
        "title": "A field of every type, two classes learned from the rows",
        "kind": "tabular",
        "record": {
            "fields": [
                {"name": "size", "type": "number", "nullable": True},
                {"name": "count", "type": "integer", "minimum": -5, "maximum": 20},
                {"name": "member", "type": "boolean", "nullable": True},
                {"name": "area", "type": "category", "nullable": True},
                {"name": "bio", "type": "text", "nullable": True},
                {"name": "since", "type": "datetime", "nullable": True},
            ]
        },
        "target": {"task": "binary"},
        "features": {"tabular": {"outliers": "drop", "negatives": "missing"}},
        "model": {"estimator": "logistic"},
    }
)


STACKED = UseCase.model_validate(
    MIXED.model_dump(mode="json")
    | {"name": "stacked", "kind": "mixed", "model": {"estimator": "catboost_mixed"}}
)
STACKED_LABELS = UseCase.model_validate(
    STACKED.model_dump(mode="json")
    | {
        "name": "stacked_labels",
        "target": {"task": "multilabel", "classes": ["a", "b", "c", "d"]},
        "gate": {"metric": "f1_micro"},
    }
)
COLOUR = UseCase.model_validate(
    {
        "name": "colour",
        "title": "Pictures in colour",
        "kind": "image",
        "record": {"fields": [{"name": "photo", "type": "image", "shape": [12, 16, 3], "resize": "crop"}]},
        "target": {"task": "multiclass", "classes": ["a", "b", "c"]},
        "model": {"estimator": "keras_resnet", "params": {"flip": False}},
    }
)


def with_estimator(name: str, estimator: str) -> UseCase:
    return MIXED.model_copy(update={"name": name, "model": ModelConfig(estimator=estimator)})


def with_class(name: str, **params: Any) -> UseCase:
    model = ModelConfig(estimator="sklearn", params=params)
    return MIXED.model_copy(update={"name": name, "model": model})


FOREST = "sklearn.ensemble.RandomForestClassifier"
MLP = "sklearn.neural_network.MLPClassifier"
STEPS = [
    "sklearn.preprocessing.StandardScaler",
    {"class": "sklearn.decomposition.PCA", "n_components": 6},
    {"class": FOREST, "n_estimators": 12},
]
CASES = {
    **USE_CASES,
    "mixed_logistic": MIXED,
    "mixed_logistic_batches": with_estimator("mixed_logistic_batches", "logistic_batches"),
    "mixed_xgboost": with_estimator("mixed_xgboost", "xgboost"),
    "mixed_catboost": with_estimator("mixed_catboost", "catboost"),
    "stacked": STACKED,
    "stacked_labels": STACKED_LABELS,
    "colour": COLOUR,
    "by_network": BY_NETWORK,
    "mixed_forest": with_class("mixed_forest", **{"class": FOREST}, n_estimators=12),
    "mixed_steps": with_class("mixed_steps", steps=STEPS),
    "mixed_mlp": with_class("mixed_mlp", **{"class": MLP}, hidden_layer_sizes=[6], max_iter=60),
}
if HAS_TOKENIZERS:  # the extra `texts`
    CASES["by_meaning"] = BY_MEANING


@pytest.fixture(scope="session")
def case_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Case]:
    @cache
    def make(name: str) -> Case:
        folder = tmp_path_factory.mktemp(name)
        use_case = with_tiny_network(CASES[name], folder / "network")
        return make_case(with_tiny_model(use_case, folder / "transformer"), folder)

    return make


PAIRS = [(name, law) for name, case in CASES.items() for law in LAWS if LAWS[law].applies(case)]
NETWORKS = ("keras_cnn", "keras_mixed", "keras_resnet")
FITTED_AGAIN = {
    "a_blend_answers_by_the_weighted_mean_of_its_members",
    "a_class_without_rows_keeps_its_place",
    "a_fit_stops_when_asked",
    "a_member_learns_from_the_rows_of_its_window_only",
    "a_stopped_fit_goes_on_from_its_checkpoint",
    "a_warm_start_continues_on_a_copy",
    "a_warm_start_lets_every_member_learn",
    "a_window_learns_from_the_newest_rows",
    "another_seed_another_model",
    "other_rows_another_model",
    "same_seed_same_model",
}
"""Laws that begin fits of their own."""


def marked(name: str, law: str) -> object:
    """Networks fit long: of what other estimators obey, much is among the slow tests for them."""
    long = CASES[name].model.estimator in NETWORKS and law in FITTED_AGAIN
    return pytest.param(name, law, id=f"{name}:{law}", marks=[pytest.mark.slow] if long else [])


@pytest.mark.parametrize(("name", "law"), [marked(*pair) for pair in PAIRS])
def test_law(name: str, law: str, case_of: Callable[[str], Case], tmp_path: Path) -> None:
    LAWS[law].check(case_of(name), tmp_path)


@pytest.mark.parametrize("law", LAWS)
def test_each_law_is_for_some_use_case(law: str) -> None:
    assert any(LAWS[law].applies(case) for case in CASES.values())


def test_every_estimator_stands_under_the_laws() -> None:
    assert {case.model.estimator for case in CASES.values()} == set(ESTIMATORS)


def test_only_named_estimators_are_excused_from_the_seed() -> None:
    excused = {case.model.estimator for case in CASES.values() if draws_nothing(case)}
    assert excused == SEEDLESS_ESTIMATORS
