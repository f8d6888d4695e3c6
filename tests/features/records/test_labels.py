"""Labels: text, numbers that stand for their text, and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from configs.schema import TargetConfig
from features.records.labels import LabelContract

DIGITS = LabelContract(TargetConfig(task="multiclass", classes=tuple("0123456789")))
OPEN = LabelContract(TargetConfig(task="multiclass"))


@pytest.mark.parametrize(
    ("value", "label"),
    [("3", "3"), (3, "3"), (3.0, "3"), (np.int64(3), "3"), (np.float32(3), "3"), (True, "1")],
)
def test_numbers_stand_for_their_text(value: Any, label: str) -> None:
    assert DIGITS.check([value]) == ([label], [None])


def test_truths_are_spelled_as_the_classes_are() -> None:
    spelled = LabelContract(TargetConfig(task="binary", classes=("false", "true")))
    assert spelled.check([True, np.False_])[0] == ["true", "false"]
    assert OPEN.check([True, "False", "TRUE"])[0] == ["true", "false", "true"]


@pytest.mark.parametrize(
    ("value", "arrived"),
    [
        ("x", "got 'x' (text)"),
        (10, "got 10"),
        (3.5, "got 3.5"),
        (None, "missing"),
        ([3], "got an array of 1"),
    ],
)
def test_a_refusal_names_what_arrived_and_what_is_allowed(value: Any, arrived: str) -> None:
    labels, problems = DIGITS.check(["1", value])
    assert labels == ["1", None]
    assert problems[0] is None
    assert str(problems[1]).startswith(f"label: {arrived}; allowed: one of '0', '1', ")


@pytest.mark.parametrize("value", ["", "a\nb", "a\tb", "x" * 501, float("nan")])
def test_open_classes_still_need_a_printable_label(value: Any) -> None:
    labels, (problem,) = OPEN.check([value])
    assert labels == [None]
    assert "text of 1 to 500 printable characters" in str(problem)


MANY = LabelContract(TargetConfig(task="multilabel"))


def test_many_labels_are_stored_as_one_text() -> None:
    labels, problems = MANY.check([["b", "a", "b"], "b| a", "c", [3, "x"], ("z",)])
    assert labels == ["a|b", "a|b", "c", "3|x", "z"]
    assert problems == [None] * 5


def test_sets_of_labels_are_refused_with_the_reason() -> None:
    listed = LabelContract(TargetConfig(task="multilabel", classes=("a", "b")))
    labels, problems = listed.check([["a", "c"], [], "|", None, 7, {"a": 1}, ["a", None], "b|a"])
    assert labels == [None, "", "", None, None, None, None, "a|b"]
    assert problems[0] == "label: got 'c' (text); allowed: one of 'a', 'b'"
    assert problems[4] == "label: got 7; allowed: one of 'a', 'b'"
    assert problems[5] == (
        "label: got an object; allowed: a list, or text with '|' between, of labels, each one of 'a', 'b'"
    )
    refused = [problem for problem in problems if problem is not None]
    assert len(refused) == 5
    assert all(problem.startswith("label: ") for problem in refused)
    assert MANY.check([["a|b"]])[1] == ["label: got 'a|b' (text); allowed: text without the separator '|'"]
    assert MANY.check([["a"] * 1001])[1] == ["label: got 1001 labels; allowed: at most 1000"]


def test_a_label_that_is_nearly_a_class_is_told_with_it() -> None:
    listed = LabelContract(TargetConfig(task="binary", classes=("ham", "spam")))
    assert listed.check(["Spam", "spma", "eggs"])[1] == [
        "label: got 'Spam' (text), is 'spam' meant?; allowed: one of 'ham', 'spam'",
        "label: got 'spma' (text), is 'spam' meant?; allowed: one of 'ham', 'spam'",
        "label: got 'eggs' (text); allowed: one of 'ham', 'spam'",
    ]
