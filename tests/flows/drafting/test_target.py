"""What a target column says: the task, the classes, and what cannot be classified."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from flows.drafting.errors import CannotDraft
from tests.flows.drafting.files import checked, drafted, table, write_csv

ROWS = 200


def labelled(tmp_path: Path, labels: list[Any]) -> Path:
    """A file of these labels beside a number."""
    return write_csv(tmp_path / "rows.csv", {**table(len(labels)), "label": labels})


@pytest.mark.parametrize(
    ("labels", "named", "positive"),
    [
        (["caf\u00e9", "bar"], "cafe\u0301", "caf\u00e9"),
        (["cafe\u0301", "bar"], "cafe\u0301", "caf\u00e9"),
        (["True", "False"], "True", "true"),
        (["1.0", "0.0"], "1.0", "1"),
    ],
)
def test_the_class_that_is_asked_about_may_be_named_as_in_the_file(
    tmp_path: Path, labels: list[str], named: str, positive: str
) -> None:
    assert drafted(labelled(tmp_path, labels * 90), positive=named).target.positive == positive


@pytest.mark.parametrize(
    ("labels", "task", "classes", "positive"),
    [
        (["no", "yes", "no"] * 60, "binary", ("no", "yes"), "yes"),
        (["1", "0", "1"] * 60, "binary", ("0", "1"), "1"),
        (["True", "False", "False"] * 60, "binary", ("false", "true"), "true"),
        (["good", "late", "good"] * 60, "binary", ("good", "late"), "late"),
        ([3, 10, 2] * 60, "multiclass", ("2", "3", "10"), None),
        ([1.0, 2.0, 3.0] * 60, "multiclass", ("1", "2", "3"), None),
        (["a", "b", "c"] * 60, "multiclass", ("a", "b", "c"), None),
    ],
)
def test_task_and_classes(
    tmp_path: Path, labels: list[Any], task: str, classes: tuple[str, ...], positive: str | None
) -> None:
    made, use_case, rows = checked(labelled(tmp_path, labels))
    target = use_case.target
    assert (target.task, target.classes, target.positive) == (task, classes, positive)
    assert (rows.rows, rows.refused) == (len(labels), 0)
    assert sum(made.target.rows.values()) == len(labels)


@pytest.mark.parametrize("separator", ["|", ";", ","])
def test_labels_with_a_separator_between_are_many(tmp_path: Path, separator: str) -> None:
    random = np.random.default_rng(2)
    names = ["red", "green", "blue", "grey", "pink"]
    labels: list[Any] = [
        separator.join(random.permutation(names)[: random.integers(1, 4)].tolist()) for _ in range(ROWS)
    ]
    _, use_case, rows = checked(labelled(tmp_path, labels))
    assert (use_case.target.task, use_case.target.separator) == ("multilabel", separator)
    assert set(use_case.target.classes) == set(names)
    assert use_case.gate.metric == "f1_micro"
    assert rows.refused == 0


def test_commas_within_classes_are_no_separators(tmp_path: Path) -> None:
    labels: list[Any] = ["Smith, John", "Doe, Jane", "Poe, Edgar"] * 60
    assert drafted(labelled(tmp_path, labels)).target.task == "multiclass"


def test_lists_of_labels(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    sets = [["a"], ["b", "c"], ["a", "c"], ["b"]]
    path.write_text(
        "".join(json.dumps({"size": place % 7, "label": sets[place % 4]}) + "\n" for place in range(ROWS))
    )
    _, use_case, rows = checked(path)
    assert (use_case.target.task, use_case.target.classes) == ("multilabel", ("a", "b", "c"))
    assert rows.refused == 0


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([float(place) / 7 for place in range(ROWS)], "Regression is not supported"),
        (list(range(ROWS)), "Regression is not supported"),
        ([f"2024-01-{place % 28 + 1:02}" for place in range(ROWS)], "holds times"),
        ([f"name {place}" for place in range(ROWS)], "nearly every row would be a class"),
        (["a"] * ROWS, "one value, 'a'"),
        ([""] * ROWS, "no value"),
        (["a", "b"] * 5, "20 or more"),
        ([f"{place}\x07" if place % 2 else "b" for place in (1, 2)] * 60, "is no label"),
    ],
)
def test_what_is_refused(tmp_path: Path, labels: list[Any], words: str) -> None:
    with pytest.raises(CannotDraft, match=words):
        drafted(labelled(tmp_path, labels))


def test_many_numbers_are_classes_where_that_is_said(tmp_path: Path) -> None:
    labels: list[Any] = [place % 50 for place in range(600)]
    path = labelled(tmp_path, labels)
    with pytest.raises(CannotDraft, match="--task multiclass"):
        drafted(path)
    assert len(drafted(path, task="multiclass").target.classes) == 50


def test_rows_without_a_label_are_counted(tmp_path: Path) -> None:
    labels: list[Any] = ["a", "b", "", "NA"] * 50
    made, _, rows = checked(labelled(tmp_path, labels))
    assert made.target.unlabelled == 100
    assert rows.refused == 100
    assert any("100 of 200 rows have no label" in one for one in made.warnings)


def test_classes_of_one_row_are_named(tmp_path: Path) -> None:
    labels: list[Any] = ["a", "b"] * 60 + ["c"]
    made = drafted(labelled(tmp_path, labels))
    assert made.target.classes == ("a", "b", "c")
    assert any("'c' (1)" in one for one in made.warnings)


@pytest.mark.parametrize(
    ("shares", "metric"),
    [
        ({"no": 100, "yes": 100}, "accuracy"),
        ({"no": 160, "yes": 40}, "f1_macro"),
        ({"no": 190, "yes": 10}, "f1"),
        ({"no": 10, "yes": 190}, "f1_macro"),
        ({"a": 70, "b": 70, "c": 60}, "accuracy"),
        ({"a": 170, "b": 15, "c": 15}, "f1_macro"),
    ],
)
def test_the_metric_suits_the_balance(tmp_path: Path, shares: dict[str, int], metric: str) -> None:
    labels: list[Any] = [label for label, rows in shares.items() for _ in range(rows)]
    assert checked(labelled(tmp_path, labels))[1].gate.metric == metric


def test_a_missing_target_is_told_with_near_names(tmp_path: Path) -> None:
    path = labelled(tmp_path, ["a", "b"] * 50)
    with pytest.raises(CannotDraft, match=r"no column 'lable' \(is 'label' meant"):
        drafted(path, "lable")


def test_classes_of_which_one_has_hardly_a_row_are_refused(tmp_path: Path) -> None:
    labels: list[Any] = ["no"] * ROWS + ["yes"]
    with pytest.raises(CannotDraft, match=r"'no' stands in 200 rows, 'yes' in 1.* allowed: two classes of 5"):
        drafted(labelled(tmp_path, labels))
    assert drafted(labelled(tmp_path, ["no"] * ROWS + ["yes"] * 5)).target.positive == "yes"


def test_truths_as_words_and_as_numbers_are_two_classes(tmp_path: Path) -> None:
    labels: list[Any] = ["1", "true", "0", "false", "True"] * 40
    made, use_case, rows = checked(labelled(tmp_path, labels))
    assert use_case.target.classes == ("false", "true")
    assert made.target.rows == {"true": 120, "false": 80}
    assert rows.refused == 0


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (["No", "no", "Yes", "YES", "yes"], "'No' and 'no'; 'YES' and 'Yes' and 'yes'"),
        (["yes", "y", "no", "n"], "'n' and 'no'; 'y' and 'yes'"),
        (["Red", "red", "blue"], "'Red' and 'red'"),
    ],
)
def test_classes_that_differ_in_spelling_only_are_told(tmp_path: Path, labels: list[Any], told: str) -> None:
    made = drafted(labelled(tmp_path, labels * 40))
    assert len(made.target.classes) == len(labels)
    assert any(told in one for one in made.target.warnings)


def test_a_class_that_may_be_no_label_is_told(tmp_path: Path) -> None:
    made = drafted(labelled(tmp_path, ["None", "ok", "bad"] * 40))
    assert any("'None' (40 rows) may stand for no label" in one for one in made.warnings)


def test_objects_and_bytes_are_no_labels(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"size": n, "label": {"a": n % 2}}) + "\n" for n in range(ROWS)))
    with pytest.raises(CannotDraft, match="'label' holds lists or objects in some rows"):
        drafted(path)
    frame = pd.DataFrame({"size": range(ROWS), "label": [b"a", b"b"] * (ROWS // 2)})
    frame.to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(CannotDraft, match="'label' holds bytes"):
        drafted(tmp_path / "rows.parquet")
