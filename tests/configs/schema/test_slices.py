"""Which parts of the records a challenger may be held to."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from configs.schema import UseCase

RAW: dict[str, Any] = {
    "name": "parts",
    "title": "Parts",
    "kind": "mixed",
    "record": {
        "fields": [
            {"name": "origin", "type": "category"},
            {"name": "paid", "type": "boolean"},
            {"name": "age", "type": "integer"},
            {"name": "note", "type": "text"},
        ]
    },
    "target": {"task": "multiclass"},
    "model": {"estimator": "keras_mixed"},
}


def use_case(*slices: dict[str, Any]) -> UseCase:
    return UseCase.model_validate(RAW | {"gate": {"slices": list(slices)}})


def test_each_value_or_named_range_of_a_field_is_a_slice() -> None:
    found = use_case(
        {"field": "origin", "floor": 0.7},
        {"field": "paid", "most_loss": None, "floor": 0.5},
        {"field": "age", "ranges": {"young": [None, 30], "old": [60, None]}, "min_rows": 80},
    ).gate.slices
    assert [(one.min_rows, one.most_loss, one.floor) for one in found] == [
        (50, 0.02, 0.7),
        (50, None, 0.5),
        (80, 0.02, None),
    ]
    assert found[2].ranges == {"young": (None, 30.0), "old": (60.0, None)}


ALLOWED = "allowed: fields of type category, boolean, number, integer: origin, paid, age"


@pytest.mark.parametrize(
    ("slices", "message"),
    [
        ([{"field": "colour"}], rf"gate.slices\[0\].field: got 'colour'; {ALLOWED}"),
        ([{"field": "note"}], rf"gate.slices\[0\].field: got 'note', of type text; {ALLOWED}"),
        ([{"field": "age"}], r"gate.slices\[0\].ranges: field 'age' has type integer; allowed: named ranges"),
        (
            [{"field": "origin", "ranges": {"all": [None, None]}}],
            r"gate.slices\[0\].ranges: field 'origin' has type category; allowed: none",
        ),
        ([{"field": "paid"}, {"field": "paid"}], r"gate.slices\[1\].field: got 'paid' again"),
        ([{"field": "paid", "min_rows": 10**6}], r"gate.slices\[0\].min_rows: got 1000000; allowed: at most"),
        ([{"field": "paid", "most_loss": None}], "slice 'paid': most_loss and floor are null"),
        ([{"field": "age", "ranges": {"none": [3, 3]}}], r"range 'none' \[3.0, 3.0\] must rise"),
        ([{"field": "age", "ranges": {"far": [None, float("inf")]}}], "finite"),
        ([{"field": "paid", "most_loss": -0.1}], "greater than or equal to 0"),
    ],
)
def test_what_is_no_slice_is_refused_by_name(slices: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        use_case(*slices)
