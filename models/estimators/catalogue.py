"""The estimators, by their names in `model.estimator` of a use case."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

from models.errors import UnknownEstimator
from models.estimators.contract import Estimator

ESTIMATORS = {
    "keras_cnn": "models.estimators.keras.cnn:KerasCnn",
    "keras_resnet": "models.estimators.keras.resnet:KerasResnet",
    "catboost": "models.estimators.boosted:Boosted",
    "logistic": "models.estimators.logistic:Logistic",
    "linear_text": "models.estimators.linear_text:LinearText",
    "keras_mixed": "models.estimators.keras.mixed:KerasMixed",
}
"""Name in `model.estimator` to the class, imported when needed."""


def estimator_class(name: str) -> type[Estimator]:
    """The class behind a name in the table.

    Raises:
        UnknownEstimator: the table does not hold it.
    """
    if name not in ESTIMATORS:
        raise UnknownEstimator(name, ESTIMATORS)
    module, _, attribute = ESTIMATORS[name].partition(":")
    return cast("type[Estimator]", getattr(import_module(module), attribute))


def make_estimator(name: str, params: Mapping[str, Any]) -> Estimator:
    """An estimator that has not learned yet; cheap, so it also serves to check a configuration.

    Raises:
        UnknownEstimator: the table does not hold the name.
        ParamError: it refuses a parameter.
    """
    return estimator_class(name)(params)
