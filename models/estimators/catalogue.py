"""The estimators, by their names in `model.estimator` of a use case: ours, and classes of other packages.

A class of another package has an import path (`mypackage.models:MyNet`), or a name that its package gives
it by an entry point of the group `ratchet.estimators`. It obeys `models.estimators.contract`, where its
class attributes say what it can; `ratchet check-estimator` runs the laws on it (`models.laws`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any, cast

from configs.combinations import ABILITIES
from features.errors import ClassMissing
from features.other_packages import (
    FOREIGN,
    find_class,
    named_by_packages,
    package_of,
    path_behind,
    raised,
)
from models.errors import EstimatorUnavailable, ModelError, ParamsRefused, UnknownEstimator
from models.estimators.contract import Estimator

ESTIMATORS = {
    "keras_cnn": "models.estimators.keras.cnn:KerasCnn",
    "keras_resnet": "models.estimators.keras.resnet:KerasResnet",
    "catboost": "models.estimators.boosted.estimator:Boosted",
    "logistic": "models.estimators.logistic:Logistic",
    "linear_text": "models.estimators.linear_text:LinearText",
    "keras_mixed": "models.estimators.keras.mixed:KerasMixed",
    "catboost_mixed": "models.estimators.stacked.catboost_mixed:CatboostMixed",
    "logistic_batches": "models.estimators.streaming.logistic:LogisticBatches",
    "xgboost": "models.estimators.streaming.xgboost:Xgboost",
    "sklearn": "models.estimators.scikit.estimator:SklearnClassifier",
}
"""Name in `model.estimator` to the class, imported when needed."""
EXTRAS = frozenset({"xgboost"})
"""Those of ours whose library is an extra, by the name that it is imported by."""
GROUP = "ratchet.estimators"
CONTRACT = "models.estimators.contract"
NEEDED = ("fit", "predict_proba", "save", "load")
"""What a class must have."""
KINDS = ("tabular", "mixed", "text", "image")
NUMBERS = ("tabular", "mixed")
"""Kinds of which a class that names none learns: their rows are numbers, all of them."""


def estimator_class(name: str) -> type[Estimator]:
    """The class behind a name, or at an import path.

    Raises:
        UnknownEstimator: nothing has this name, and it is no import path.
        EstimatorUnavailable: what it leads to cannot be imported here, or is no estimator.
    """
    if name in ESTIMATORS:
        module, _, attribute = ESTIMATORS[name].partition(":")
        return cast("type[Estimator]", getattr(import_module(module), attribute))
    return _class_of_others(name, _path_behind(name))


def packages_behind(name: str, params: Mapping[str, Any]) -> set[str]:
    """Packages that an estimator needs because it, or its parameters, name them; as they are imported."""
    if name == "sklearn":
        from models.estimators.scikit.spelling import packages_named

        return packages_named(params)
    if name in ESTIMATORS:
        return {name} & EXTRAS
    try:
        return {package_of(_path_behind(name))}
    except UnknownEstimator:
        return set()


def make_estimator(name: str, params: Mapping[str, Any]) -> Estimator:
    """An estimator that has not learned yet; cheap, so it also serves to check a configuration.

    Raises:
        UnknownEstimator: the table does not hold the name.
        EstimatorUnavailable: it is of a package that is not here.
        ParamError: it refuses a parameter.
        ParamsRefused: a class of another package raises something else of its own.
    """
    found = estimator_class(name)
    if name in ESTIMATORS:
        return found(params)
    try:
        return found(params)
    except ModelError:
        raise
    except FOREIGN as error:
        raise ParamsRefused(name, raised(error)) from error


def kinds_of(name: str, estimator: Estimator | type[Estimator]) -> tuple[str, ...]:
    """Kinds of use cases whose rows it learns from: of ours as the table has it, of others as they say.

    Raises:
        EstimatorUnavailable: what it says names no kinds.
    """
    if name in ABILITIES:
        return ABILITIES[name].kinds
    said = getattr(estimator, "kinds", NUMBERS)
    if not isinstance(said, (tuple, list)) or not said or not set(map(str, said)) <= set(KINDS):
        raise EstimatorUnavailable(
            name, f"its kinds are {said!r:.60}; allowed: a tuple of some of {', '.join(KINDS)}"
        )
    return tuple(said)


def _path_behind(name: str) -> str:
    """The import path that a name stands for; an import path stands for itself."""
    path = path_behind(name, GROUP, ESTIMATORS)
    if path is None:
        raise UnknownEstimator(name, {*ESTIMATORS, *named_by_packages(GROUP, ESTIMATORS)})
    return path


@cache
def _class_of_others(name: str, path: str) -> type[Estimator]:
    """The class at a path under the name by which it was asked for, which is how its versions find it
    again."""
    try:
        found = find_class(path, NEEDED, CONTRACT)
    except ClassMissing as error:
        raise EstimatorUnavailable(name, str(error)) from error
    try:
        ours: dict[str, Any] = {"name": name, "__module__": found.__module__, "__doc__": found.__doc__}
        if not hasattr(found, "notes"):
            ours["notes"] = ()
        return cast("type[Estimator]", cast("Any", type(found))(found.__name__, (found,), ours))
    except FOREIGN as error:
        raise EstimatorUnavailable(name, f"{path} {raised(error)} where a class is made of it") from error
