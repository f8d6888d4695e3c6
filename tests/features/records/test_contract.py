"""Records: what is accepted, what each refusal says, and the laws of the canonical JSON."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.schema import FieldConfig, RecordConfig
from features.errors import SHOWN, RecordError
from features.records.contract import RecordContract
from features.records.fields import MARKERS
from features.records.spellings import spell_word

FIELDS = (
    FieldConfig(name="tenure", type="number", minimum=0),
    FieldConfig(name="children", type="integer", minimum=0, maximum=20, nullable=True),
    FieldConfig(name="active", type="boolean", nullable=True),
    FieldConfig(name="plan", type="category", categories=("basic", "gold"), nullable=True),
    FieldConfig(name="city", type="category", max_length=20),
    FieldConfig(name="note", type="text", nullable=True, max_length=50),
    FieldConfig(name="since", type="datetime", nullable=True),
)
CONTRACT = RecordContract(RecordConfig(fields=FIELDS))
GOOD: dict[str, Any] = {
    "tenure": 3.5,
    "children": 2,
    "active": True,
    "plan": "gold",
    "city": "Łódź",
    "note": "a\tb\n\"c\" \\ 'd'",
    "since": "2024-05-01T12:30:00+02:00",
}


def messages(**changes: Any) -> list[str]:
    return [problem.message for problem in CONTRACT.check_records([GOOD | changes]).problems]


def test_a_good_record_becomes_columns() -> None:
    checked = CONTRACT.check_records([GOOD, GOOD | {"children": None, "active": False, "extra": [1]}])
    assert checked.problems == ()
    assert checked.rows.tolist() == [0, 1]
    columns = checked.columns
    assert columns["tenure"].dtype == np.float64
    assert columns["children"][0] == 2
    assert math.isnan(columns["children"][1])
    assert columns["active"].tolist() == [1.0, 0.0]
    assert columns["plan"].tolist() == ["gold", "gold"]
    assert columns["since"][0] == np.datetime64("2024-05-01T10:30:00", "us")


def test_nullable_fields_may_be_left_out() -> None:
    checked = CONTRACT.check_records([{"tenure": 1, "city": "x"}])
    assert checked.problems == ()
    assert checked.columns["plan"].tolist() == [None]
    assert np.isnat(checked.columns["since"][0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tenure": "abc"}, "field 'tenure': got 'abc' (text); allowed: a number, at least 0"),
        ({"tenure": "3,5"}, "field 'tenure': got '3,5' (text); allowed: a number, at least 0"),
        ({"tenure": True}, "field 'tenure': got true; allowed: a number, at least 0"),
        ({"tenure": None}, "field 'tenure': missing; allowed: a number, at least 0"),
        ({"tenure": -1}, "field 'tenure': got -1; allowed: a number, at least 0"),
        (
            {"tenure": float("nan")},
            "field 'tenure': got NaN, which stands for no value; allowed: a number, at least 0",
        ),
        ({"tenure": float("inf")}, "field 'tenure': got inf; allowed: a number, at least 0"),
        ({"tenure": [1]}, "field 'tenure': got an array of 1; allowed: a number, at least 0"),
        (
            {"tenure": 10**400},
            "field 'tenure': got a number beyond the range of 64 bits; allowed: a number, at least 0",
        ),
        ({"children": 3.5}, "field 'children': got 3.5; allowed: a whole number from 0 to 20, or null"),
        ({"children": 21}, "field 'children': got 21; allowed: a whole number from 0 to 20, or null"),
        ({"active": 2}, "field 'active': got 2; allowed: true or false, or null"),
        (
            {"plan": "silver"},
            "field 'plan': got 'silver' (text); allowed: one of 'basic', 'gold', or null",
        ),
        (
            {"plan": "Glod"},
            "field 'plan': got 'Glod' (text), is 'gold' meant?; allowed: one of 'basic', 'gold', or null",
        ),
        ({"plan": ["gold"]}, "field 'plan': got an array of 1; allowed: one of 'basic', 'gold', or null"),
        ({"city": {"a": 1}}, "field 'city': got an object; allowed: text of at most 20 characters"),
        ({"city": "x" * 21}, "field 'city': got 21 characters; allowed: text of at most 20 characters"),
        (
            {"city": 1e20},
            "field 'city': got 1e+20; allowed: text of at most 20 characters "
            "(so large a number is not exact: send it as text)",
        ),
        (
            {"city": "NA"},
            "field 'city': got 'NA' (text), which stands for no value; "
            "allowed: text of at most 20 characters",
        ),
        (
            {"note": "a\x00b"},
            "field 'note': got 'a\\x00b' (text) with characters that are not text; "
            "allowed: text of at most 50 characters, or null",
        ),
        (
            {"since": "yesterday"},
            "field 'since': got 'yesterday' (text); "
            "allowed: a time in ISO 8601, such as 2024-05-01T12:30:00Z, or null",
        ),
        (
            {"since": 1714566600},
            "field 'since': got 1714566600; "
            "allowed: a time in ISO 8601, such as 2024-05-01T12:30:00Z, or null (mere digits are a time "
            "only where the configuration says `epoch: s`, `ms`, `us` or `ns`)",
        ),
    ],
)
def test_a_refusal_names_field_value_and_what_is_allowed(changes: dict[str, Any], message: str) -> None:
    assert messages(**changes) == [message]


@pytest.mark.parametrize("changes", [{"children": 3.0}, {"tenure": 0}, {"since": "2024-05-01"}])
def test_values_that_are_fine(changes: dict[str, Any]) -> None:
    assert messages(**changes) == []


def test_half_a_surrogate_pair_is_refused() -> None:
    assert len(messages(note="\ud800")) == 1


def test_long_values_are_shortened() -> None:
    assert len(messages(tenure="x" * 10_000)[0]) < 200


def test_every_problem_is_reported_and_neighbours_stay() -> None:
    bad = {"tenure": "x", "plan": "silver"}
    checked = CONTRACT.check_records([GOOD, bad, GOOD, 3, GOOD])  # type: ignore[list-item]
    assert checked.rows.tolist() == [0, 2, 4]
    assert len(checked.columns["tenure"]) == 3
    places = [(problem.row, problem.field) for problem in checked.problems]
    assert places == [(1, "tenure"), (1, "plan"), (1, "city"), (3, "")]
    assert checked.problems[3].message.startswith("got 3; allowed: an object with the fields tenure, ")


def test_refusing_the_whole_request_says_how_much_is_wrong() -> None:
    with pytest.raises(RecordError) as caught:
        CONTRACT.check_records([{}] * 200).all_or_raise()
    assert len(caught.value.problems) == SHOWN
    assert caught.value.total == 400
    assert str(caught.value).startswith("record 0: field 'tenure': missing;")
    assert str(caught.value).endswith("(and 399 more)")


def test_no_records_are_no_rows() -> None:
    assert CONTRACT.check_records([]).rows.tolist() == []
    assert CONTRACT.to_json(CONTRACT.empty()) == []


def test_canonical_json_keeps_the_order_of_the_configuration() -> None:
    reordered = dict(reversed(GOOD.items()))
    (text,) = CONTRACT.to_json(CONTRACT.check_records([reordered]).columns)
    assert text.startswith('{"tenure":3.5,"children":2,"active":true,"plan":"gold","city":"Łódź"')
    assert text.endswith('"since":"2024-05-01T10:30:00.000000Z"}')


finite = st.floats(allow_nan=False, allow_infinity=False)
text = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
moments = st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)).map(
    lambda moment: moment.isoformat() + "Z"
)
words = text.map(spell_word).filter(lambda word: word not in MARKERS)
records = st.fixed_dictionaries(
    {"tenure": finite.map(abs) | st.integers(0, 10**12), "city": words},
    optional={
        "children": st.none() | st.integers(0, 20),
        "active": st.none() | st.booleans(),
        "plan": st.none() | st.sampled_from(["basic", "gold"]),
        "note": st.none() | text,
        "since": st.none() | moments,
    },
)


@given(st.lists(records, max_size=8))
def test_canonical_json_reads_back_exactly(rows: list[dict[str, Any]]) -> None:
    columns = CONTRACT.check_records(rows).all_or_raise()
    documents = CONTRACT.to_json(columns)
    back = CONTRACT.from_json(documents)
    for name, column in columns.items():
        assert back[name].dtype == column.dtype
        np.testing.assert_array_equal(back[name], column)
    assert CONTRACT.to_json(back) == documents


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)


@given(st.lists(st.dictionaries(st.sampled_from(CONTRACT.names), anything) | anything, max_size=4))
def test_rows_are_judged_alone_as_in_company(rows: list[Any]) -> None:
    together = CONTRACT.check_records(rows)
    alone = [CONTRACT.check_records([row]) for row in rows]
    assert together.rows.tolist() == [index for index, single in enumerate(alone) if not single.problems]
    assert [problem.message for problem in together.problems] == [
        problem.message for single in alone for problem in single.problems
    ]
