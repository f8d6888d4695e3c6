"""One value has one meaning, whatever its door, its neighbours, and the file that it is in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.schema import UseCase
from tests.contract.doors import (
    Outcome,
    Row,
    csv_file,
    csv_gz,
    feedback,
    frames,
    inference,
    json_alone,
    json_document,
    jsonl,
    parquet,
    predict,
)
from tests.contract.odd_values import NUMBERS, OTHERS, TEXTS

FIELDS: dict[str, dict[str, Any]] = {
    "number": {"type": "number"},
    "bounded": {"type": "number", "minimum": 0, "maximum": 100},
    "integer": {"type": "integer"},
    "boolean": {"type": "boolean"},
    "category": {"type": "category", "max_length": 500},
    "closed": {"type": "category", "categories": ["x", "café", "1", "NA", "True"]},
    "text": {"type": "text", "max_length": 500},
    "datetime": {"type": "datetime"},
    "epoch": {"type": "datetime", "epoch": "s"},
}
TARGETS: dict[str, dict[str, Any]] = {
    "zero_one": {"task": "binary", "classes": ["0", "1"]},
    "truths": {"task": "binary", "classes": ["False", "True"]},
    "words": {"task": "multiclass", "classes": ["x", "café", "Å"]},
    "open": {"task": "multiclass"},
    "sets": {"task": "multilabel"},
    "closed_sets": {"task": "multilabel", "classes": ["a", "b", "1"]},
}
GOOD: Row = {"x": "1", "label": "1", "id": "r1", "at": "2024-05-01T12:30:00Z"}
TYPES = {bool: "BOOL", int: "INT64", float: "FP64", str: "BYTES"}


def use_case_of(
    field: dict[str, Any] | None = None, target: dict[str, Any] | None = None, nullable: bool = True
) -> UseCase:
    fields = [{"name": "x", "nullable": nullable, **(field or {"type": "text"})}]
    return UseCase.model_validate(
        {
            "name": "doors", "title": "Doors", "kind": "tabular",
            "record": {"fields": fields, "id_column": "id", "time_column": "at"},
            "target": target or {"task": "multiclass"},
            "model": {"estimator": "logistic"},
            "gate": {"metric": "f1_micro" if (target or {}).get("task") == "multilabel" else "accuracy"},
        }
    )  # fmt: skip


def rows_of(column: str, values: Any) -> list[Row]:
    return [GOOD | {column: value} for value in values]


def check_doors(use_case: UseCase, rows: list[Row], column: str, folder: Path) -> list[Outcome]:
    """All doors that JSON goes through, and those that its texts or its types go through, must agree."""
    expected = feedback(use_case, rows, folder)
    for door in (jsonl, json_document, json_alone):
        assert same(door(use_case, rows, folder), expected, rows, column), door.__name__
    if column != "at":
        assert same(predict(use_case, rows, folder), [cut(one, 3) for one in expected], rows, column)
    texts = [place for place, row in enumerate(rows) if type(row[column]) is str]
    for door in (csv_file, csv_gz, parquet):
        some = [rows[place] for place in texts]
        assert same(door(use_case, some, folder), [expected[place] for place in texts], some, column)
    for kind in (bool, int, float):
        typed = [place for place, row in enumerate(rows) if type(row[column]) is kind]
        some = [rows[place] for place in typed]
        assert same(parquet(use_case, some, folder), [expected[place] for place in typed], some, column)
    return expected


def same(outcomes: list[Outcome], expected: list[Outcome], rows: list[Row], column: str) -> bool:
    assert len(outcomes) == len(expected) == len(rows)
    for outcome, wanted, row in zip(outcomes, expected, rows, strict=True):
        assert outcome == wanted, f"{column} {row[column]!r}"
    return True


def cut(outcome: Outcome, parts: int) -> Outcome:
    return outcome if isinstance(outcome, str) else outcome[:parts]


def test_the_table_is_long() -> None:
    assert len(TEXTS + NUMBERS + OTHERS) >= 200
    assert len(set(TEXTS)) == len(TEXTS)


@pytest.mark.parametrize("nullable", [True, False])
@pytest.mark.parametrize("name", FIELDS)
def test_a_field_means_the_same_at_every_door(name: str, nullable: bool, tmp_path: Path) -> None:
    use_case = use_case_of(FIELDS[name], nullable=nullable)
    rows = rows_of("x", (*TEXTS, *NUMBERS, *OTHERS))
    expected = check_doors(use_case, rows, "x", tmp_path)
    stored = sum(not isinstance(outcome, str) for outcome in expected)
    assert stored > 0
    assert stored < len(rows)
    records = [cut(outcome, 1) for outcome in expected]
    for how in ("dataframe_split", "dataframe_records"):
        assert same(frames(use_case, rows, how), records, rows, "x")
    texts = rows[: len(TEXTS)]
    assert same(frames(use_case, texts, "csv"), records[: len(TEXTS)], texts, "x")
    if name in ("category", "closed", "text", "datetime"):
        assert same(inference(use_case, texts, "BYTES"), records[: len(TEXTS)], texts, "x")
    if name in ("number", "bounded", "integer"):
        some = [place for place, row in enumerate(rows) if type(row["x"]) is float]
        floats = [rows[place] for place in some]
        assert same(inference(use_case, floats, "FP64"), [records[place] for place in some], floats, "x")


@pytest.mark.parametrize("name", TARGETS)
def test_a_label_means_the_same_at_every_door(name: str, tmp_path: Path) -> None:
    rows = rows_of("label", (*TEXTS, *NUMBERS, *OTHERS))
    expected = check_doors(use_case_of(target=TARGETS[name]), rows, "label", tmp_path)
    assert {isinstance(outcome, str) for outcome in expected} == {True, False}


def test_an_id_means_the_same_at_every_door(tmp_path: Path) -> None:
    rows = rows_of("id", (*TEXTS, *NUMBERS, *OTHERS))
    expected = check_doors(use_case_of(), rows, "id", tmp_path)
    assert {isinstance(outcome, str) for outcome in expected} == {True, False}


@pytest.mark.parametrize("epoch", [None, "ms"])
def test_the_time_of_a_row_means_the_same_at_every_door(epoch: str | None, tmp_path: Path) -> None:
    use_case = use_case_of()
    record = use_case.record.model_copy(update={"time_epoch": epoch})
    rows = rows_of("at", (*TEXTS, *NUMBERS, *OTHERS))
    expected = check_doors(use_case.model_copy(update={"record": record}), rows, "at", tmp_path)
    assert {isinstance(outcome, str) for outcome in expected} == {True, False}


def outcome_of(column: str, value: Any, use_case: UseCase) -> Outcome:
    (outcome,) = feedback(use_case, rows_of(column, [value]), Path())
    return outcome


@pytest.mark.parametrize("value", ["1", "1.0", 1, 1.0, True, "True", "TRUE", "true", " 1 ", "1\u00a0"])
def test_classes_as_programs_write_them(value: Any) -> None:
    assert outcome_of("label", value, use_case_of(target=TARGETS["zero_one"]))[1] == "1"


@pytest.mark.parametrize("value", ["1", "1.0", 1, 1.0, "1.00", " 1"])
def test_an_open_class_has_one_spelling(value: Any) -> None:
    assert outcome_of("label", value, use_case_of())[1] == "1"


@pytest.mark.parametrize("value", [True, "true", "True", "TRUE"])
def test_open_truths_are_one_class(value: Any) -> None:
    assert outcome_of("label", value, use_case_of())[1] == "true"


@pytest.mark.parametrize("value", [953, 953.0, "953", "953.0", " 953 "])
def test_one_id_however_it_is_written(value: Any) -> None:
    assert outcome_of("id", value, use_case_of())[2] == "953"


def test_ids_that_differ_stay_apart() -> None:
    values = ["0953", "953", "9007199254740993", 9007199254740992, 2**64 - 1, "True", "true"]
    ids = [outcome_of("id", value, use_case_of())[2] for value in values]
    assert ids == ["0953", "953", "9007199254740993", "9007199254740992", str(2**64 - 1), "True", "true"]


@pytest.mark.parametrize("value", ["20240501123000Z", "1712021512345", "1714564800", "20240501", 1714564800])
def test_digits_are_never_a_wrong_time(value: Any) -> None:
    reason = outcome_of("x", value, use_case_of(FIELDS["datetime"]))
    assert "mere digits are a time only where the configuration says `epoch: s`" in reason
    reason = outcome_of("at", value, use_case_of())
    assert "mere digits are a time only where the configuration says `time_epoch: s`" in reason


@pytest.mark.parametrize("value", [1714564800, 1714564800.0, "1714564800", "2024-05-01T12:00:00Z"])
def test_an_epoch_that_is_declared_is_read(value: Any) -> None:
    outcome = outcome_of("x", value, use_case_of(FIELDS["epoch"]))
    assert outcome[0] == '{"x":"2024-05-01T12:00:00.000000Z"}'


@pytest.mark.parametrize("value", [[], "", "[]", "|", " "])
def test_an_empty_set_of_labels_is_a_truth(value: Any) -> None:
    assert outcome_of("label", value, use_case_of(target=TARGETS["sets"]))[1] == ""


@pytest.mark.parametrize("value", [None, "NA", "null", float("nan")])
def test_no_truth_is_no_empty_set(value: Any) -> None:
    assert isinstance(outcome_of("label", value, use_case_of(target=TARGETS["sets"])), str)


def test_what_is_refused_never_looks_like_what_is_allowed() -> None:
    for value in ("caf\u0435\u0301", "c\u0430fé", "café\u0301"):
        reason = outcome_of("label", value, use_case_of(target=TARGETS["words"]))
        assert isinstance(reason, str)
        assert "got 'café'" not in reason
        came, _, meant = reason.split(";")[0].partition(", is ")
        assert came.isascii()
        assert meant in ("", "'café' meant?"), "which is what is allowed"


values = (
    st.text(max_size=12)
    | st.sampled_from(TEXTS)
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.booleans()
    | st.none()
)
kinds = st.sampled_from([("x", FIELDS[name], None) for name in FIELDS]
                        + [("label", None, TARGETS[name]) for name in TARGETS]
                        + [("id", None, None), ("at", None, None)])  # fmt: skip


@given(kinds, st.lists(values, min_size=1, max_size=6))
def test_neighbours_and_doors_change_nothing(kind: tuple[str, Any, Any], drawn: list[Any]) -> None:
    column, field, target = kind
    use_case = use_case_of(field, target)
    rows = rows_of(column, drawn)
    expected = feedback(use_case, rows, Path())
    assert same(json_alone(use_case, rows, Path()), expected, rows, column)
    if column != "at":
        assert same(predict(use_case, rows, Path()), [cut(one, 3) for one in expected], rows, column)
    assert same(feedback(use_case, rows[::-1], Path())[::-1], expected, rows, column)
