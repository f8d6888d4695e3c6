from __future__ import annotations

from typing import Any

import pytest

from models.errors import ParamError, UnknownEstimator
from models.estimators.catalogue import ESTIMATORS, estimator_class, make_estimator
from models.estimators.fit_watch import SilentWatch

START = {"sklearn": {"class": "sklearn.ensemble.RandomForestClassifier"}}
"""Parameters that an estimator cannot be without."""


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_name_finds_a_class_of_that_name(name: str) -> None:
    assert estimator_class(name).name == name
    assert make_estimator(name, START.get(name, {})).notes == ()


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(
        UnknownEstimator,
        match=r"got 'magic'; allowed: catboost, catboost_mixed, keras_cnn, keras_mixed, keras_resnet, "
        "linear_text, logistic, logistic_batches, sklearn, xgboost",
    ):
        make_estimator("magic", {})


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_unknown_parameter_is_refused_by_name(name: str) -> None:
    with pytest.raises(
        ParamError, match=r"model\.params\.magic: [\w.]+ got 3; allowed: one of the parameters \w+"
    ) as refused:
        make_estimator(name, {"magic": 3} | START.get(name, {}))
    assert str(START.get(name, {}).get("class", name)) in str(refused.value)


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("keras_cnn", {"dropout": 1.5}, r"model\.params\.dropout: keras_cnn got 1\.5; allowed: less than 1"),
        ("keras_cnn", {"filters": []}, r"model\.params\.filters: .*at least 1 item"),
        (
            "keras_cnn",
            {"filters": [0]},
            r"model\.params\.filters\.0: keras_cnn got 0; allowed: greater than 0",
        ),
        (
            "catboost",
            {"depth": "deep"},
            r"model\.params\.depth: catboost got 'deep'; allowed: a valid integer",
        ),
        ("catboost", {"class_weights": "odd"}, r"allowed: 'equal', 'balanced' or 'sqrt_balanced'"),
        ("logistic", {"c": 0}, r"model\.params\.c: logistic got 0; allowed: greater than 0"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused(name: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamError, match=message):
        make_estimator(name, params)


def test_a_silent_watch_never_stops_anything() -> None:
    assert SilentWatch().should_stop() is False
