"""Fields that a use case does not have: ignored, or refused with the name that was probably meant."""

from __future__ import annotations

import json
from typing import Any

import pytest

from configs.schema import FieldConfig, RecordConfig, TargetConfig
from features.records.contract import LabelContract, RecordContract
from service.answers.requests import RequestReader
from service.errors import Invalid
from service.openapi.schemas import record_schema

RECORD = RecordConfig(
    fields=(
        FieldConfig(name="tenure", type="number"),
        FieldConfig(name="article", type="text", column="abstract", nullable=True),
    ),
    time_column="seen",
)
TARGET = TargetConfig(task="multiclass", classes=("a", "b"))


def reader(*, refuse_unknown: bool) -> RequestReader:
    return RequestReader(RecordContract(RECORD), LabelContract(TARGET), 10, refuse_unknown=refuse_unknown)


def body(*records: dict[str, Any]) -> bytes:
    return json.dumps({"records": records}).encode()


@pytest.mark.parametrize("extra", [{}, {"id": "7"}, {"seen": "2024-05-01"}, {"article": None}])
def test_what_a_record_may_have_beside_its_fields_is_taken(extra: dict[str, Any]) -> None:
    sent = body({"tenure": 1, **extra})
    assert reader(refuse_unknown=True).read(sent).count == 1
    assert reader(refuse_unknown=False).read_fast(sent) is not None


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("artcle", "is 'article' meant?"),
        ("abstract", "is 'article' meant?"),
        ("Tenure", "is 'tenure' meant?"),
        ("colour", "allowed: tenure, article"),
    ],
)
def test_it_is_ignored_unless_it_is_to_be_refused(name: str, told: str) -> None:
    sent = body({"tenure": 1}, {"tenure": 2, name: "x"})
    assert reader(refuse_unknown=False).read_fast(sent) is not None
    with pytest.raises(Invalid) as caught:
        reader(refuse_unknown=True).read(sent)
    assert str(caught.value) == f"record 1: field '{name}': there is no such field; {told}"
    assert caught.value.details == {
        "total": 1,
        "problems": [
            {"record": 1, "field": name, "message": f"field '{name}': there is no such field; {told}"}
        ],
    }


@pytest.mark.parametrize(
    ("record", "fields"),
    [
        ({"tenur": 1}, ["tenure"]),
        ({"tenur": 1, "colour": 2}, ["colour", "tenure"]),
        ({"Tenure": 1, "tenur": 2}, ["tenur", "tenure"]),
        ({"colour": 1}, ["colour", "tenure"]),
    ],
)
def test_a_needed_field_that_is_misspelt_is_told_once(record: dict[str, Any], fields: list[str]) -> None:
    with pytest.raises(Invalid) as caught:
        reader(refuse_unknown=True).read(body({"tenure": 1}, record))
    assert sorted(problem["field"] for problem in caught.value.details["problems"]) == fields


@pytest.mark.parametrize("refuse_unknown", [True, False])
@pytest.mark.parametrize(
    ("record", "asked"),
    [
        ({"tenur": 1}, "; is 'tenur' meant for it?"),
        ({"Tenure": 1, "tenur": 2}, "; is 'Tenure' meant for it?"),
        ({"tenur": 1, "tenure": None}, ""),
        ({"colour": 1}, ""),
        ({"seen": "2024-05-01", "artcle": "x"}, ""),
    ],
)
def test_a_field_that_is_missing_asks_for_one_of_nearly_its_name(
    record: dict[str, Any], asked: str, refuse_unknown: bool
) -> None:
    with pytest.raises(Invalid) as caught:
        reader(refuse_unknown=refuse_unknown).read(body({"tenure": 1}, record))
    told = [one["message"] for one in caught.value.details["problems"] if one["field"] == "tenure"]
    assert told == [f"field 'tenure': missing; allowed: a number{asked}"]


def test_the_document_says_so() -> None:
    assert "additionalProperties" not in record_schema(RECORD)
    strict = record_schema(RECORD, refuse_unknown=True)
    assert strict["additionalProperties"] is False
    assert set(strict["properties"]) == {"tenure", "article", "seen", "id"}
