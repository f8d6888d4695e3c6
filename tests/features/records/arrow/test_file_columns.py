"""Columns of files: text that parses is fine, and everything else is named."""

from __future__ import annotations

import base64
import io
from collections import Counter
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from configs.schema import FieldConfig, RecordConfig
from features.records.arrow.file_columns import columns_read, needed_columns, read_times, read_values
from features.records.contract import CheckedRecords, RecordContract
from tests.features.records.test_contract import CONTRACT, records


def contract(**options: Any) -> RecordContract:
    return RecordContract(RecordConfig(fields=(FieldConfig(name="x", **options),)))


def check(rules: RecordContract, values: Any, kind: pa.DataType | None = None) -> CheckedRecords:
    return rules.check_table(pa.table({"x": pa.array(values, kind)}))


def reasons(checked: CheckedRecords) -> dict[int, str]:
    return {problem.row: problem.message for problem in checked.problems}


NUMBER = contract(type="number", minimum=-10)
OPTIONAL = contract(type="number", nullable=True)


def test_numbers_from_text() -> None:
    checked = check(NUMBER, ["1", "-2.5", "1e3", "+4", " 5 ", ".5", "6."])
    assert checked.columns["x"].tolist() == [1.0, -2.5, 1000.0, 4.0, 5.0, 0.5, 6.0]


def test_odd_texts_are_named_and_neighbours_stay() -> None:
    checked = check(NUMBER, ["1", "abc", "", "inf", "nan", "1_000", "-11", "2"])
    assert checked.columns["x"].tolist() == [1.0, 2.0]
    allowed = "; allowed: a number, at least -10"
    assert reasons(checked) == {
        1: f"field 'x': got 'abc' (text){allowed}",
        2: f"field 'x': missing{allowed}",
        3: f"field 'x': got 'inf' (text){allowed}",
        4: f"field 'x': got 'nan' (text), which stands for no value{allowed}",
        5: f"field 'x': got '1_000' (text){allowed}",
        6: f"field 'x': got -11{allowed}",
    }


def test_texts_that_parse_as_no_number_are_named_without_others() -> None:
    assert set(reasons(check(NUMBER, ["1", "inf", "nan"]))) == {1, 2}


def test_markers_mean_no_value() -> None:
    checked = check(OPTIONAL, ["", "NA", "NaN", "null", None, "1"])
    assert np.isnan(checked.columns["x"]).tolist() == [True] * 5 + [False]


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1, 2, None], pa.int8()),
        pa.array([1.0, 2.0, float("nan")], pa.float32()),
        pa.array([1, 2, None], pa.decimal128(5, 2)),
        pa.array(["1", "2", None]).dictionary_encode(),
        pa.array([1, 2, None]).dictionary_encode(),
        pa.array(["1", "2", None], pa.large_string()),
    ],
    ids=lambda array: str(array.type)[:12],
)
def test_numbers_of_every_type(values: pa.Array) -> None:
    np.testing.assert_array_equal(check(OPTIONAL, values).columns["x"], [1.0, 2.0, np.nan])


@pytest.mark.parametrize("values", [[True, False], [[1], [2]], [b"1", b"2"], [date(2024, 1, 1)] * 2])
def test_types_that_are_no_number(values: Any) -> None:
    assert list(reasons(check(OPTIONAL, values))) == [0, 1]


def test_whole_numbers() -> None:
    checked = check(contract(type="integer"), ["3", "3.0", "3.5", "9007199254740993"])
    assert checked.columns["x"].tolist() == [3.0, 3.0]
    assert reasons(checked)[2] == "field 'x': got 3.5; allowed: a whole number"
    assert 3 in reasons(check(contract(type="integer"), [1, 2, 3, 2**60]))


def test_booleans() -> None:
    rules = contract(type="boolean", nullable=True)
    checked = check(rules, ["true", "FALSE", "1", "0", "yes", "No", "", "maybe"])
    np.testing.assert_array_equal(checked.columns["x"], [1, 0, 1, 0, 1, 0, np.nan])
    assert reasons(checked) == {7: "field 'x': got 'maybe' (text); allowed: true or false, or null"}
    np.testing.assert_array_equal(check(rules, [True, None]).columns["x"], [1, np.nan])
    assert reasons(check(rules, [0, 2])) == {1: "field 'x': got 2; allowed: true or false, or null"}


def test_categories() -> None:
    rules = contract(type="category", categories=("a", "b"))
    checked = check(rules, ["a", "b", "c", None, "a"])
    assert checked.columns["x"].tolist() == ["a", "b", "a"]
    assert reasons(checked) == {
        2: "field 'x': got 'c' (text); allowed: one of 'a', 'b'",
        3: "field 'x': missing; allowed: one of 'a', 'b'",
    }


def test_categories_that_are_numbers_in_the_file() -> None:
    rules = contract(type="category", nullable=True)
    assert check(rules, [1, 2, None]).columns["x"].tolist() == ["1", "2", None]
    assert check(rules, [1.0, 2.0, float("nan")]).columns["x"].tolist() == ["1", "2", None]
    assert check(rules, [True, False]).columns["x"].tolist() == ["true", "false"]


def test_text_keeps_what_looks_like_a_marker() -> None:
    assert check(contract(type="text"), ["", "NA"]).columns["x"].tolist() == ["", "NA"]


@pytest.mark.parametrize(
    "values",
    [
        ["2024-05-01T10:30:00Z", "2024-05-01T12:30:00+02:00"],
        ["2024-05-01 10:30:00", "2024-05-01T10:30"],
        ["2024-05-01T10:30:00Z", "2024-05-01T10:30:00.000"],
        [datetime(2024, 5, 1, 10, 30, tzinfo=UTC)] * 2,
        [datetime(2024, 5, 1, 10, 30)] * 2,
    ],
)
def test_times(values: Any) -> None:
    moment = np.datetime64("2024-05-01T10:30:00", "us")
    assert check(contract(type="datetime"), values).columns["x"].tolist() == [moment.item()] * 2


def test_dates_and_what_is_no_time() -> None:
    rules = contract(type="datetime", nullable=True)
    assert check(rules, [date(2024, 5, 1)]).columns["x"][0] == np.datetime64("2024-05-01")
    assert list(reasons(check(rules, ["2024-05-01", "soon", None]))) == [1]
    assert list(reasons(check(rules, [1714566600]))) == [0]


def test_an_absent_column_counts_as_missing() -> None:
    table = pa.table({"y": [1, 2]})
    assert len(NUMBER.check_table(table).problems) == 2
    assert len(OPTIONAL.check_table(table).rows) == 2


def test_a_column_may_have_another_name_than_its_field() -> None:
    rules = contract(type="number", column="Some Column")
    assert rules.check_table(pa.table({"Some Column": ["1"]})).columns["x"].tolist() == [1.0]


def test_times_and_texts_beside_the_record() -> None:
    table = pa.table({"when": ["2024-05-01", "", "soon"], "id": [1, 2, 3], "word": ["a", "", "NA"]})
    record = CONTRACT.record.model_copy(update={"time_column": "when"})
    times, bad = read_times(table, record, {}, Counter())
    assert np.isnat(times).tolist() == [False, True, True]
    assert list(bad) == [2]
    assert bad[2].startswith("column 'when': got 'soon' (text); allowed: a time")
    assert read_values(table, "id", {}) == [1, 2, 3]
    assert read_values(table, "word", {"word": [1, True, None]}) == [1, True, None]
    assert read_values(table, "other", {}) == [None] * 3


IMAGE = contract(type="image", shape=(2, 3))
PIXELS = [[0, 1, 2], [3, 4, 255]]
FLAT = [0, 1, 2, 3, 4, 255]


def png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.array(PIXELS, dtype=np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "values",
    [
        pa.array([FLAT]),
        pa.array([PIXELS]),
        pa.array([FLAT], pa.list_(pa.uint8(), 6)),
        pa.array([FLAT], pa.large_list(pa.float32())),
        pa.array([png()]),
        pa.array([base64.b64encode(png()).decode()]),
        pa.array(["[[0,1,2],[3,4,255]]"]),
    ],
    ids=["flat", "nested", "fixed", "floats", "png", "base64", "json"],
)
def test_images_of_every_form(values: pa.Array) -> None:
    assert check(IMAGE, values).columns["x"].tolist() == [PIXELS]


def test_images_in_pixel_columns() -> None:
    columns: dict[str, list[Any]] = {f"x_{index}": [str(pixel)] * 3 for index, pixel in enumerate(FLAT)}
    columns["x_4"] = ["4", "abc", "999"]
    checked = IMAGE.check_table(pa.table(columns))
    assert checked.columns["x"].tolist() == [PIXELS]
    assert reasons(checked) == {
        1: "field 'x': column 'x_4': got 'abc' (text); allowed: a number from 0 to 255",
        2: "field 'x': column 'x_4': got 999; allowed: a number from 0 to 255",
    }


def test_images_among_others_that_do_not_fit() -> None:
    checked = check(IMAGE, [FLAT, [1, 2], None, [0, 1, 2, 3, 4, 256]])
    assert checked.columns["x"].tolist() == [PIXELS]
    assert list(reasons(checked)) == [1, 2, 3]
    checked = check(IMAGE, [b"x", png(), None])
    assert checked.rows.tolist() == [1]
    checked = check(IMAGE, [FLAT, [0, 1, 2, 3, 4, 256]])
    assert reasons(checked)[1].startswith("field 'x': got 256 as a pixel; allowed: 2x3 numbers")


def test_columns_that_a_file_must_have() -> None:
    image = FieldConfig(name="x", type="image", shape=(1, 2))
    assert needed_columns(image, ["x"]) == ()
    assert needed_columns(image, ["x_0", "x_1"]) == ()
    assert needed_columns(image, ["x_0"]) == ("x_1",)
    assert needed_columns(image, ["y"]) == ("x",)
    assert needed_columns(FieldConfig(name="x", type="number", nullable=True), []) == ()


def test_columns_that_are_read_where_a_file_has_them() -> None:
    image = FieldConfig(name="x", type="image", shape=(1, 2))
    assert columns_read(image, ["x"]) == ("x",)
    assert columns_read(image, ["x_0"]) == ("x", "x_0", "x_1")
    assert columns_read(FieldConfig(name="x", type="number", column="y"), []) == ("y",)


@given(st.lists(records, min_size=1, max_size=8))
def test_a_file_of_the_same_records_gives_the_same_columns(rows: list[dict[str, Any]]) -> None:
    expected = CONTRACT.check_records(rows).all_or_raise()
    full = [{name: row.get(name) for name in CONTRACT.names} for row in rows]
    typed = pa.Table.from_pylist(
        full,
        pa.schema(
            {"tenure": pa.float64(), "children": pa.int64(), "active": pa.bool_(), "plan": pa.string(),
             "city": pa.string(), "note": pa.string(), "since": pa.string()}
        ),
    )  # fmt: skip
    markers = RecordContract(CONTRACT.record.model_copy(update={"missing": ()}))
    read = markers.check_table(typed).all_or_raise()
    for name, column in expected.items():
        np.testing.assert_array_equal(read[name], column)


def rules_for(options: dict[str, Any]) -> RecordContract:
    record = RecordConfig(fields=(FieldConfig(name="x", **options),), missing=())
    return RecordContract(record)


wide = st.floats(allow_nan=False, width=64) | st.floats(-12, 12).map(lambda value: round(value, 1))
typed_columns = st.one_of(
    st.tuples(
        st.just({"type": "number", "minimum": -10, "maximum": 10}), st.just(pa.float64()), st.just(wide)
    ),
    st.tuples(
        st.just({"type": "integer", "minimum": -3}), st.just(pa.int64()), st.just(st.integers(-9, 2**62))
    ),
    st.tuples(st.just({"type": "boolean"}), st.just(pa.bool_()), st.just(st.booleans())),
    st.tuples(
        st.just({"type": "category", "categories": ("a", "b")}),
        st.just(pa.string()),
        st.just(st.text("abc", max_size=2)),
    ),
    st.tuples(
        st.just({"type": "text", "max_length": 3}), st.just(pa.string()), st.just(st.text("a\0é", max_size=4))
    ),
)


@given(typed_columns, st.booleans(), st.data())
def test_a_typed_column_is_judged_as_the_same_values_in_json(
    column: tuple[dict[str, Any], pa.DataType, Any], nullable: bool, data: st.DataObject
) -> None:
    options, kind, values = column
    drawn = data.draw(st.lists(st.none() | values, max_size=8))
    rules = rules_for(options | {"nullable": nullable})
    from_json = rules.check_records([{"x": value} for value in drawn])
    from_file = check(rules, drawn, kind)
    assert from_file.rows.tolist() == from_json.rows.tolist()
    assert from_file.problems == from_json.problems
    np.testing.assert_array_equal(from_file.columns["x"], from_json.columns["x"])
