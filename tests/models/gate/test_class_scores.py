"""A class of which hardly anything is judged on is told; chance, new classes and many labels are not."""

from __future__ import annotations

import pytest

from configs.schema import TargetConfig
from models.gate.class_scores import missing_class

TARGET = TargetConfig(task="multiclass", classes=("good", "poor", "rotten"))
USUAL = {"good": 0.6, "poor": 0.38, "rotten": 0.02}


def test_a_class_of_which_none_or_hardly_any_comes_is_told() -> None:
    told = missing_class(TARGET, ["good"] * 100, USUAL, 0.2)
    assert told == "0 of 100 are 'poor', and 38% of what production learned from"
    few = missing_class(TARGET, ["good"] * 95 + ["poor"] * 5, USUAL, 0.2)
    assert few == "5 of 100 are 'poor', and 38% of what production learned from"


@pytest.mark.parametrize(
    ("labels", "usual", "least"),
    [
        (["good"] * 80 + ["poor"] * 20, USUAL, 0.2),  # half of what was usual is a world that changes
        (["good"] * 95 + ["poor"] * 5, USUAL, 0.1),
        (["good"] * 10, USUAL, 0.2),  # so few may come so by chance
        (["good"] * 62 + ["poor"] * 38, USUAL, 0.2),  # of a rare class none in a hundred is chance
        (["rotten"] * 60 + ["good"] * 30 + ["poor"] * 30, USUAL, 0.2),
        ([], USUAL, 0.2),
        (["good"] * 100, {}, 0.2),
    ],
)
def test_what_chance_or_a_changing_world_brings_is_not(
    labels: list[str], usual: dict[str, float], least: float
) -> None:
    assert missing_class(TARGET, labels, usual, least) is None


def test_where_a_row_has_many_labels_it_is_not_asked() -> None:
    target = TargetConfig(task="multilabel", classes=("a", "b"))
    assert missing_class(target, ["a"] * 100, {"a|b": 1.0}, 0.2) is None
