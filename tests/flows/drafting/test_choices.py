"""Which estimator a draft has."""

from __future__ import annotations

import pytest

from configs.combinations import estimator_problem
from configs.schema import Task
from flows.drafting.choices import Kind, choose_model
from flows.drafting.target import Target


def target(task: Task, classes: int) -> Target:
    rows = {f"class {number}": 100 for number in range(classes)}
    return Target(column="label", task=task, classes=tuple(rows), rows=rows, unlabelled=0, why="")


@pytest.mark.parametrize(
    ("kind", "task", "classes", "estimator"),
    [
        ("tabular", "binary", 2, "catboost"),
        ("mixed", "multiclass", 20, "catboost_mixed"),
        ("mixed", "multiclass", 21, "keras_mixed"),
        ("mixed", "multilabel", 5, "keras_mixed"),
        ("tabular", "multilabel", 5, "keras_mixed"),
        ("text", "multilabel", 5, "linear_text"),
        ("image", "multiclass", 10, "keras_cnn"),
    ],
)
def test_the_estimator_suits_kind_and_target(kind: Kind, task: Task, classes: int, estimator: str) -> None:
    chosen = choose_model(kind, target(task, classes), rows=1000, columns=5)
    assert chosen.values["estimator"] == estimator
    assert estimator_problem(estimator, kind, task, ()) is None
