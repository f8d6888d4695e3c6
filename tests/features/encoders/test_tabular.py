from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.schema import FeaturesConfig, RecordConfig, TabularFeatures
from features.encoders.column_statistics import LEAST_VALUES
from features.encoders.contract import encoder_class
from features.encoders.tabular import LIMIT, MANY_CODES, MANY_VALUES, MAX_CATEGORIES, TabularEncoder
from features.records.contract import Columns


def record(*fields: dict[str, Any]) -> RecordConfig:
    return RecordConfig.model_validate({"fields": list(fields)})


def options(**tabular: Any) -> FeaturesConfig:
    return FeaturesConfig(tabular=TabularFeatures(**tabular))


def texts(*values: str | None) -> np.ndarray:
    return np.array(values, dtype=object)


def fit_numbers(values: list[float], field: dict[str, Any] | None = None, **tabular: Any) -> TabularEncoder:
    fields = record({"name": "a", "type": "number", **(field or {})})
    return TabularEncoder.fit({"a": np.array(values)}, fields, options(**tabular))


def test_numbers_are_standardised_by_the_training_rows() -> None:
    encoder = fit_numbers([0.0, 2.0, 4.0])
    encoded = encoder.encode({"a": np.array([2.0, 4.0])})
    assert encoded.dtype == np.float32
    assert encoded[:, 0].tolist() == pytest.approx([0.0, 2 / (8 / 3) ** 0.5])


def test_without_scale_numbers_stay_as_they_are() -> None:
    encoder = fit_numbers([0.0, 2.0, 4.0], scale=False)
    assert encoder.encode({"a": np.array([3.5])}).tolist() == [[3.5]]


def test_a_missing_number_is_the_median_and_says_so() -> None:
    encoder = fit_numbers([1.0, 2.0, 9.0, np.nan], {"nullable": True}, scale=False)
    assert encoder.feature_names == ("a", "a:missing")
    assert encoder.encode({"a": np.array([np.nan, 1.0])}).tolist() == [[2.0, 1.0], [1.0, 0.0]]


def test_a_column_that_is_always_missing_is_zero() -> None:
    encoder = fit_numbers([np.nan, np.nan], {"nullable": True})
    assert encoder.encode({"a": np.array([np.nan])}).tolist() == [[0.0, 1.0]]


def test_categories_are_one_hot_and_strangers_are_none() -> None:
    fields = record({"name": "c", "type": "category"}, {"name": "d", "type": "category", "categories": ["x"]})
    training = {"c": texts("b", "a", None), "d": texts("x", "x", "x")}
    encoder = TabularEncoder.fit(training, fields, options())
    assert encoder.feature_names == ("c=a", "c=b", "d=x")
    columns = {"c": texts("b", "new", None, "a"), "d": texts("x", "y", "x", None)}
    assert encoder.encode(columns).tolist() == [[0, 1, 1], [0, 0, 0], [0, 0, 1], [1, 0, 0]]


def test_a_version_of_before_finds_its_categories_by_their_spelling_now() -> None:
    fields = record({"name": "x", "type": "category"})
    older = TabularEncoder.fit({"x": texts("1.0", "True", " y", "z")}, fields, options())
    columns = {"x": texts("1", "true", "y", "z")}
    assert older.encode(columns).sum(axis=1).tolist() == [1, 1, 1, 1]
    np.testing.assert_array_equal(older.encode(columns), older.encode({"x": texts("1.0", "True", " y", "z")}))
    both = TabularEncoder.fit({"x": texts("1.0", "1")}, fields, options())
    assert both.encode({"x": texts("1.0", "1")}).tolist() == [[0, 1], [1, 0]]


def test_an_open_category_keeps_its_most_frequent_values() -> None:
    values = [f"v{place}" for place in range(MAX_CATEGORIES + 50)] + ["often"] * 3
    encoder = TabularEncoder.fit({"c": texts(*values)}, record({"name": "c", "type": "category"}), options())
    assert len(encoder.feature_names) == MAX_CATEGORIES
    assert "c=often" in encoder.feature_names


def test_many_values_are_one_column_where_places_are_asked_for() -> None:
    many = texts(*(f"v{place}" for place in range(MANY_VALUES + 1)))
    few = texts(*("ab"[place % 2] for place in range(MANY_VALUES + 1)))
    fields = record({"name": "c", "type": "category"}, {"name": "d", "type": "category"})
    encoder = TabularEncoder.fit({"c": many, "d": few}, fields, options(encoding="places"))
    assert encoder.feature_names == ("d=a", "d=b", "c")
    assert encoder.category_columns == {2: MANY_VALUES + 1}
    encoded = encoder.encode({"c": texts("v0", "new", None), "d": texts("a", "b", None)})
    assert encoded[0].tolist() == [1, 0, 0]
    assert encoded[1:, :2].tolist() == [[0, 1], [0, 0]]
    assert np.isnan(encoded[1:, 2]).all()
    assert TabularEncoder.fit({"c": many, "d": few}, fields, options()).category_columns == {}


def test_whole_numbers_that_several_rows_have_may_be_codes() -> None:
    rows = np.arange(5 * (MANY_CODES + 1), dtype=np.float64)
    shop, serial = rows % (MANY_CODES + 1), rows.copy()
    shop[0] = np.nan
    fields = record(
        {"name": "shop", "type": "integer", "nullable": True}, {"name": "serial", "type": "integer"}
    )
    columns = {"shop": shop, "serial": serial}
    encoder = TabularEncoder.fit(columns, fields, options(encoding="places"))
    assert encoder.feature_names == ("shop", "serial", "shop:missing", "shop:code")
    assert encoder.category_columns == {3: MANY_CODES + 1}
    again = TabularEncoder.from_state(json.loads(json.dumps(encoder.to_state())))
    places = again.encode({"shop": np.array([3, 999, np.nan]), "serial": np.zeros(3)})[:, 3]
    assert places[0] == 3
    assert np.isnan(places[1:]).all()


def test_outliers_are_clipped_to_fences_of_the_training_rows() -> None:
    values = [float(value) for value in range(101)]
    encoder = fit_numbers(values, outliers="clip", scale=False)
    assert encoder.encode({"a": np.array([1e6, -1e6, 50.0])})[:, 0].tolist() == [150.0, -50.0, 50.0]


def test_outliers_are_dropped_from_the_fit_only() -> None:
    values = [float(value) for value in range(101)] + [1e6]
    encoder = fit_numbers(values, outliers="drop", scale=False)
    assert encoder.fit_rows({"a": np.array(values)}).tolist() == [True] * 101 + [False]
    assert encoder.encode({"a": np.array([200.0])}).tolist() == [[200.0]]


def test_dropped_outliers_do_not_move_the_scale() -> None:
    values = [float(value) for value in range(101)]
    with_outlier = fit_numbers([*values, 1e6], outliers="drop")
    assert with_outlier.to_state()["mean"][0] == pytest.approx(50.0)


def test_a_rare_flag_is_not_an_outlier() -> None:
    encoder = fit_numbers([0.0] * 95 + [1.0] * 5, outliers="clip", scale=False)
    assert encoder.encode({"a": np.array([1.0])}).tolist() == [[1.0]]
    assert encoder.fit_rows({"a": np.array([1.0])}).tolist() == [True]


@pytest.mark.parametrize(("negatives", "expected"), [("keep", -5.0), ("zero", 0.0), ("missing", 2.0)])
def test_negatives(negatives: str, expected: float) -> None:
    encoder = fit_numbers([1.0, 2.0, 3.0], negatives=negatives, scale=False)
    assert encoder.encode({"a": np.array([-5.0])})[0, 0] == expected


def test_negatives_that_the_field_allows_are_left_alone() -> None:
    encoder = fit_numbers([-1.0, 2.0, 3.0], {"minimum": -40}, negatives="zero", scale=False)
    assert encoder.encode({"a": np.array([-5.0])}).tolist() == [[-5.0]]


def test_huge_numbers_are_cut_where_they_are_no_longer_plausible() -> None:
    encoder = fit_numbers([1.0, 2.0, 3.0])
    low, high = encoder.encode({"a": np.array([-1e300, 1e300])})[:, 0].tolist()
    assert -high == pytest.approx(low)
    assert 5 < high < 20


def test_a_version_of_an_earlier_release_cuts_only_what_32_bits_cannot_hold() -> None:
    encoder = earlier(fit_numbers([1.0, 2.0, 3.0]))
    encoded = encoder.encode({"a": np.array([1e300, -1e300])})
    assert encoded[:, 0].tolist() == [np.float32(LIMIT), np.float32(-LIMIT)]


def earlier(encoder: TabularEncoder) -> TabularEncoder:
    """The encoder as a release without plausible bounds wrote it."""
    state = encoder.to_state()
    return TabularEncoder.from_state(
        {key: state[key] for key in state if "floor" not in key and "ceiling" not in key}
    )


@pytest.mark.parametrize("absurd", [1e308, -1e308, 1e30, 1e9])
@pytest.mark.parametrize("outliers", ["keep", "clip", "drop"])
def test_one_absurd_number_does_not_flatten_the_others(absurd: float, outliers: str) -> None:
    values = np.random.default_rng(3).normal(20, 5, 900).tolist()
    clean, spoiled = (fit_numbers([*values, last], outliers=outliers) for last in (20.0, absurd))
    columns: Columns = {"a": np.array(values)}
    np.testing.assert_allclose(spoiled.encode(columns), clean.encode(columns), atol=0.02)
    assert np.abs(spoiled.encode({"a": np.array([absurd])})).max() < 30


@pytest.mark.parametrize("share", [0.01, 0.04])
def test_nor_do_several_of_them(share: float) -> None:
    values = np.random.default_rng(3).normal(20, 5, 900)
    spoiled = values.copy()
    spoiled[: int(900 * share)] = 1e12
    columns: Columns = {"a": values}
    expected = fit_numbers(values.tolist()).encode(columns)
    np.testing.assert_allclose(fit_numbers(spoiled.tolist()).encode(columns), expected, atol=0.2)


@pytest.mark.parametrize("rare", [[3.0], [1.0, 2.0, 40.0], [1.0, 2.0, 3.0, 1e308]])
def test_a_number_that_is_nearly_always_zero_keeps_its_rare_values_apart(rare: list[float]) -> None:
    encoder = fit_numbers([0.0] * 500 + rare, scale=False)
    encoded = encoder.encode({"a": np.array([0.0, *rare])})[:, 0]
    assert (np.diff(encoded) > 0).all()
    assert encoded[1] == rare[0]


WHEN = record({"name": "when", "type": "datetime"})


@pytest.mark.parametrize("absurd", ["9999-12-31T23:59:59", "0001-01-01", "2999-12-31", "1200-01-01"])
def test_one_absurd_date_does_not_flatten_the_others(absurd: str) -> None:
    days = np.datetime64("2024-03-01", "us") + np.arange(900) * np.timedelta64(150, "m")
    columns: Columns = {"when": days}
    clean = TabularEncoder.fit(columns, WHEN, options())
    spoiled = TabularEncoder.fit({"when": np.append(days, np.datetime64(absurd, "us"))}, WHEN, options())
    np.testing.assert_allclose(spoiled.encode(columns), clean.encode(columns), atol=0.1)


@pytest.mark.parametrize("absurd", ["9999-12-31T23:59:59", "0001-01-01", "9999-01-01", "0000-06-01"])
def test_a_date_that_stands_for_none_is_missing(absurd: str) -> None:
    fields = record({"name": "when", "type": "datetime", "nullable": True})
    days = np.array(["2024-03-01", "2024-03-05", "NaT"], dtype="datetime64[us]")
    encoder = TabularEncoder.fit({"when": days}, fields, options())
    sentinel, missing = ({"when": np.array([one], dtype="datetime64[us]")} for one in (absurd, "NaT"))
    np.testing.assert_array_equal(encoder.encode(sentinel), encoder.encode(missing))
    assert earlier(encoder).encode(sentinel).tolist() != encoder.encode(missing).tolist()


def test_what_was_taken_for_absurd_is_named_with_its_count() -> None:
    fields = record({"name": "when", "type": "datetime"}, {"name": "a", "type": "number"})
    when = np.array(["2024-03-01", "2024-03-05", "9999-12-31", "0001-01-01"], dtype="datetime64[us]")
    encoder = TabularEncoder.fit({"when": when, "a": np.array([1.0, 2.0, 3.0, 1e308])}, fields, options())
    assert encoder.notes == (
        "dates of field 'when' in the years 1 and 9999, which stand for none, were taken as missing: 2",
        "values of 'a' too far from all others to be meant were cut: 1",
    )
    assert fit_numbers([1.0, 2.0, 3.0]).notes == ()


@pytest.mark.parametrize("absurd", [1e308, -1e308, 1e12, 1e9])
def test_a_row_with_a_number_that_cannot_be_meant_is_not_believed(absurd: float) -> None:
    values = [float(value % 60) + 20 for value in range(300)]
    encoder = fit_numbers([*values, absurd, absurd, absurd])
    believed = encoder.believed_rows({"a": np.array([*values, absurd, 150.0])})
    assert believed.tolist() == [True] * 300 + [False, True]
    again = TabularEncoder.from_state(json.loads(json.dumps(encoder.to_state(), allow_nan=False)))
    assert not again.believed_rows({"a": np.array([absurd])})[0]


def test_a_number_that_many_rows_have_is_a_code_and_believed() -> None:
    values = np.array([float(value % 60) for value in range(300)] + [1e9] * 4)
    encoder = fit_numbers(values.tolist())
    assert encoder.believed_rows({"a": values}).all()
    assert encoder.believed_rows({"a": values[:303]}).sum() == 300


@pytest.mark.parametrize("draw", ["lognormal", "pareto", "zeros", "shares"])
def test_honest_tails_are_believed(draw: str) -> None:
    rng = np.random.default_rng(1)
    values = {
        "lognormal": rng.lognormal(4, 2.5, 5000),
        "pareto": rng.pareto(1.5, 5000),
        "zeros": rng.poisson(3, 5000) * (rng.random(5000) < 0.02),
        "shares": rng.random(5000),
    }[draw]
    encoder = fit_numbers(values.tolist())
    assert encoder.believed_rows({"a": values}).all()
    cut = [note for note in encoder.notes if "cut" in note]
    assert not cut or draw in ("lognormal", "pareto")


def test_few_rows_have_no_outer_bounds() -> None:
    values = [float(value) for value in range(LEAST_VALUES - 2)]
    assert fit_numbers([*values, 1e9]).believed_rows({"a": np.array([1e9])}).all()
    assert not fit_numbers([*values, 1.0, 1e9]).believed_rows({"a": np.array([1e9])}).any()


def test_fences_can_be_off_or_only_clip() -> None:
    values = [float(value) for value in range(100)]
    column = {"a": np.array([1e9])}
    off = fit_numbers(values, fence="off", scale=False)
    assert off.encode(column).tolist() == [[1e9]]
    assert off.believed_rows(column).all()
    clipped = fit_numbers(values, fence="clip", scale=False)
    assert clipped.believed_rows(column).all()
    assert clipped.encode(column)[0, 0] < 1000


def test_a_version_of_an_earlier_release_believes_every_row() -> None:
    values = [float(value) for value in range(100)]
    assert earlier(fit_numbers(values)).believed_rows({"a": np.array([1e300])}).all()


def test_a_date_some_time_after_training_is_told_from_the_last_one() -> None:
    days = np.datetime64("2024-03-01", "us") + np.arange(90) * np.timedelta64(1, "D")
    encoder = TabularEncoder.fit({"when": days}, WHEN, options(scale=False))
    later = {"when": np.array(["2024-05-30", "2024-11-01"], dtype="datetime64[us]")}
    first, second = encoder.encode(later)[:, 0].tolist()
    assert second - first == 155


def test_dates_and_texts_become_numbers() -> None:
    fields = record(
        {"name": "when", "type": "datetime", "nullable": True},
        {"name": "bio", "type": "text", "nullable": True},
    )
    when = np.array(["2024-01-06T12:00", "2024-07-01T00:00", "NaT"], dtype="datetime64[us]")
    columns: Columns = {"when": when, "bio": texts("Hello wörld 1", "", None)}
    encoder = TabularEncoder.fit(columns, fields, options(scale=False))
    named = dict(zip(encoder.feature_names, encoder.encode(columns).T.tolist(), strict=True))
    assert named["when:days"][0] == np.float32(19728.5)
    np.testing.assert_allclose(named["when:hour_cos"][0], -1, atol=1e-6)
    # 2024-01-06 is a Saturday, the sixth day of seven.
    np.testing.assert_allclose(named["when:weekday_sin"][0], np.sin(2 * np.pi * 5 / 7), atol=1e-6)
    assert named["when:days:missing"] == [0.0, 0.0, 1.0]
    assert named["bio:length"][:2] == [np.float32(np.log1p(13)), 0.0]
    assert named["bio:length:missing"] == [0.0, 0.0, 1.0]


def test_summary_shows_the_fields() -> None:
    fields = record(
        {"name": "a", "type": "number"}, {"name": "c", "type": "category"}, {"name": "t", "type": "text"}
    )
    columns: Columns = {"a": np.array([1.0, 2.0]), "c": texts("x", None), "t": texts("one", "two words")}
    table = TabularEncoder.fit(columns, fields, options()).summarise(columns)
    assert list(table.columns[:2]) == ["a", "t:length"]
    assert table["c"].tolist() == ["x", None]
    assert len(table) == 2


def test_no_rows_encode_to_no_rows() -> None:
    assert fit_numbers([1.0, 2.0]).encode({"a": np.array([])}).shape == (0, 1)


def mixed(numbers: list[float | None], words: list[str | None]) -> Columns:
    return {
        "a": np.array([np.nan if value is None else value for value in numbers]),
        "c": texts(*words),
        "b": np.array([float(place % 2) for place in range(len(words))]),
    }


FIELDS = record(
    {"name": "a", "type": "number", "nullable": True},
    {"name": "c", "type": "category", "nullable": True},
    {"name": "b", "type": "boolean"},
)
rows = st.lists(
    st.tuples(st.none() | st.floats(allow_nan=False, allow_infinity=False), st.none() | st.text(max_size=3)),
    min_size=1,
    max_size=20,
)


@settings(max_examples=100, deadline=None)
@given(
    rows,
    rows,
    st.sampled_from(["keep", "clip", "drop"]),
    st.sampled_from(["keep", "zero", "missing"]),
    st.booleans(),
)
def test_any_encoder_survives_json_and_encodes_each_row_alone(
    training_rows: list[tuple[float | None, str | None]],
    new_rows: list[tuple[float | None, str | None]],
    outliers: str,
    negatives: str,
    scale: bool,
) -> None:
    training = mixed([row[0] for row in training_rows], [row[1] for row in training_rows])
    columns = mixed([row[0] for row in new_rows], [row[1] for row in new_rows])
    encoder = TabularEncoder.fit(
        training, FIELDS, options(outliers=outliers, negatives=negatives, scale=scale)
    )
    again = encoder_class("tabular").from_state(json.loads(json.dumps(encoder.to_state(), allow_nan=False)))
    copies = {name: values.copy() for name, values in columns.items()}
    encoded = encoder.encode(columns)
    assert encoded.shape == (len(new_rows), *encoder.input_shape)
    assert encoded.shape[1] == len(encoder.feature_names)
    assert np.isfinite(encoded).all()
    np.testing.assert_array_equal(again.encode(columns), encoded)
    for name, values in copies.items():
        np.testing.assert_array_equal(columns[name], values)
    alone = [
        encoder.encode({name: values[row : row + 1] for name, values in columns.items()})
        for row in range(len(new_rows))
    ]
    np.testing.assert_array_equal(np.concatenate(alone), encoded)
