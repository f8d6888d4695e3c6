"""Weights of classes that suit the gate's metric, where the configuration leaves them open."""

from __future__ import annotations

import pytest

from models.estimators.catalogue import make_estimator
from models.metrics.class_weights import WEIGHTS, with_suiting


@pytest.mark.parametrize("estimator", WEIGHTS)
@pytest.mark.parametrize("metric", ["f1", "f1_macro"])
def test_where_a_rare_class_counts_as_a_common_one_its_rows_weigh_more(estimator: str, metric: str) -> None:
    params = with_suiting({}, estimator=estimator, task="multiclass", metric=metric)
    assert params == {"class_weights": WEIGHTS[estimator]}
    make_estimator(estimator, params)


@pytest.mark.parametrize("metric", ["accuracy", "f1_weighted", "log_loss", "roc_auc"])
def test_for_other_metrics_nothing_is_added(metric: str) -> None:
    assert with_suiting({"a": 1}, estimator="catboost", task="binary", metric=metric) == {"a": 1}


def test_what_is_configured_stays() -> None:
    given = {"class_weights": "equal"}
    assert with_suiting(given, estimator="catboost", task="binary", metric="f1") == given


def test_nothing_is_added_for_many_labels_or_an_estimator_without_weights() -> None:
    assert with_suiting({}, estimator="linear_text", task="multilabel", metric="f1_macro") == {}
    assert with_suiting({}, estimator="keras_cnn", task="multiclass", metric="f1_macro") == {}
