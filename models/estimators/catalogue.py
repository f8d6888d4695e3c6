"""The estimators, by their names in `model.estimator` of a use case: ours, and classes of other packages.

A class of another package has an import path (`mypackage.models:MyNet`), or a name that its package gives
it by an entry point of the group `ratchet.estimators`. It obeys `models.estimators.contract`, where its
class attributes say what it can; `ratchet check-estimator` runs the laws on it (`models.laws`).
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from configs.near_names import meant
from models.errors import EstimatorUnavailable, UnknownEstimator
from models.estimators.contract import Estimator

ESTIMATORS = {
    "keras_cnn": "models.estimators.keras.cnn:KerasCnn",
    "keras_resnet": "models.estimators.keras.resnet:KerasResnet",
    "catboost": "models.estimators.boosted:Boosted",
    "logistic": "models.estimators.logistic:Logistic",
    "linear_text": "models.estimators.linear_text:LinearText",
    "keras_mixed": "models.estimators.keras.mixed:KerasMixed",
    "catboost_mixed": "models.estimators.stacked.catboost_mixed:CatboostMixed",
    "sklearn": "models.estimators.scikit.estimator:SklearnClassifier",
}
"""Name in `model.estimator` to the class, imported when needed."""
GROUP = "ratchet.estimators"
NEEDED = ("fit", "predict_proba", "save", "load")
"""What a class must have."""


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
        return set()
    try:
        return {_path_behind(name).partition(":")[0].split(".")[0]}
    except UnknownEstimator:
        return set()


def make_estimator(name: str, params: Mapping[str, Any]) -> Estimator:
    """An estimator that has not learned yet; cheap, so it also serves to check a configuration.

    Raises:
        UnknownEstimator: the table does not hold the name.
        EstimatorUnavailable: it is of a package that is not here.
        ParamError: it refuses a parameter.
    """
    return estimator_class(name)(params)


def named_by_packages() -> dict[str, EntryPoint]:
    """Name to entry point of every class that an installed package offers, without those of our own names."""
    return {point.name: point for point in entry_points(group=GROUP) if point.name not in ESTIMATORS}


def _path_behind(name: str) -> str:
    """The import path that a name stands for; an import path stands for itself."""
    if ":" in name:
        return name
    points = named_by_packages()
    if name not in points:
        raise UnknownEstimator(name, {*ESTIMATORS, *points})
    return points[name].value


@cache
def _class_of_others(name: str, path: str) -> type[Estimator]:
    """The class at a path under the name by which it was asked for, which is how its versions find it
    again."""
    module_name, _, attribute = path.partition(":")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        root = module_name.split(".")[0]
        here = "is not installed here" if error.name == root else f"cannot be imported: {error}"
        raise EstimatorUnavailable(name, f"package {root} {here}") from error
    except Exception as error:
        raise EstimatorUnavailable(name, f"{module_name} raises {type(error).__name__}: {error}") from error
    found = getattr(module, attribute, None)
    if found is None:
        classes = [one for one, value in vars(module).items() if inspect.isclass(value)]
        raise EstimatorUnavailable(name, f"{module_name} has no {attribute!r}{meant(attribute, classes)}")
    missing = [one for one in NEEDED if not callable(getattr(found, one, None))]
    if not inspect.isclass(found) or missing:
        lacks = f"; it lacks {', '.join(missing)}" if missing else ""
        raise EstimatorUnavailable(name, f"{path} is no class that obeys models.estimators.contract{lacks}")
    ours: dict[str, Any] = {"name": name, "__module__": found.__module__, "__doc__": found.__doc__}
    if not hasattr(found, "notes"):
        ours["notes"] = ()
    return cast("type[Estimator]", type(found.__name__, (found,), ours))
