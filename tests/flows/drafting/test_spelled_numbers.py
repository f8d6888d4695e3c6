"""Numbers with commas, blanks and units, and words among them: read as they are meant, or named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.files.labelled_rows import read_labelled
from flows.drafting.errors import CannotDraft
from flows.drafting.spelling.number_forms import number_form
from tests.flows.drafting.files import checked, drafted, field_of, reason_of, table, write_csv

ROWS = 60
RANDOM = np.random.default_rng(4)
THREE_PLACES = [f"0,{place}" for place in RANDOM.integers(100, 1000, ROWS)]
GROUPS = [f"{place:,}" for place in RANDOM.integers(1_000, 10_000_000, ROWS)]


def commas(columns: dict[str, Any]) -> dict[str, Any]:
    """The same with a comma before each fraction."""
    return {**columns, "size": [str(one).replace(".", ",") for one in columns["size"]]}


def values_of(use_case: Any, path: Path, field: str) -> list[float]:
    """What the use case reads of a field."""
    columns, _, refused = read_labelled(use_case, path)
    assert refused == 0
    return [float(one) for one in columns[field]]


@pytest.mark.parametrize(
    ("columns", "form"),
    [
        ([["0,123", "0,456"]], (",", None)),
        ([["-0,123", "12,456"]], (",", None)),
        ([["12,345", "1,2"]], (",", None)),
        ([["12,345"], ["0,45"]], (",", None)),
        ([["1.234"], ["0,45"]], (",", ".")),
        ([["12,345"], ["0.5"]], (".", ",")),
        ([["1,234,567", "12,345"]], (".", ",")),
        ([["1\u00a0234", "22\u202f750"], ["0,5"]], (",", " ")),
        ([["0,123", "0.456"], ["0.5"]], (".", None)),
        ([["10.0.0.1", "10.0.0.2"]], (".", None)),
    ],
)
def test_one_number_that_shows_it_decides_for_the_file(
    columns: list[list[str]], form: tuple[str, str | None]
) -> None:
    assert number_form(columns) == form


@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_three_places_behind_a_zero_are_a_fraction(tmp_path: Path, separator: str) -> None:
    columns = commas(table(ROWS, price=THREE_PLACES))
    path = write_csv(tmp_path / "prices.csv", columns, separator)
    made, use_case, _ = checked(path)
    assert made.files.values == {"decimal": ","}
    assert values_of(use_case, path, "price") == [float(one.replace(",", ".")) for one in THREE_PLACES]


def test_groups_of_digits_are_whole_numbers(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "groups.csv", table(ROWS, price=GROUPS))
    made, use_case, _ = checked(path)
    assert made.files.values == {"decimal": ".", "thousands": ","}
    assert values_of(use_case, path, "price") == [float(one.replace(",", "")) for one in GROUPS]
    assert not any("no number of the file shows" in one for one in made.warnings)


@pytest.mark.parametrize(
    ("separator", "value", "other"), [(";", "12.345", "12345"), (",", "12345", "12.345")]
)
def test_where_no_number_shows_what_a_comma_is_that_is_told(
    tmp_path: Path, separator: str, value: str, other: str
) -> None:
    prices = ["12,345", *(f"{place},{place + 100}" for place in range(1, ROWS))]
    columns = {"price": prices, "label": ["a", "b"] * (ROWS // 2)}
    path = write_csv(tmp_path / "either.csv", columns, separator)
    made, use_case, _ = checked(path)
    assert values_of(use_case, path, "price")[0] == float(value)
    told = next(one for one in made.warnings if "no number of the file shows" in one)
    assert f"'12,345' is read as {value};" in told
    assert f"Where it is {other}, `files:" in told


def test_blanks_that_break_no_line_stand_between_groups(tmp_path: Path) -> None:
    prices = [f"{place % 9 + 1}\u00a0{place + 100},5" for place in range(ROWS)]
    path = write_csv(tmp_path / "blanks.csv", commas(table(ROWS, price=prices)), ";")
    made, use_case, _ = checked(path)
    assert made.files.values == {"decimal": ",", "thousands": " "}
    assert values_of(use_case, path, "price")[:2] == [1100.5, 2101.5]


def test_a_column_that_is_written_in_two_ways_is_left_out_and_named(tmp_path: Path) -> None:
    prices = [one if place % 2 else one.replace(",", ".") for place, one in enumerate(THREE_PLACES)]
    made, _, rows = checked(write_csv(tmp_path / "two.csv", table(ROWS, price=prices), ";"))
    assert reason_of(made, "price") == "unit"
    assert THREE_PLACES[1] in next(one.why for one in made.left_out if one.column == "price")
    assert rows.refused == 0


@pytest.mark.parametrize(
    "text", ["{}kg", "{} kg", "${}", "{} €", "{}%", "{}.5 km/h", "EUR {}", "{} °C", "-${}", "US${}", "{}M"]
)  # fmt: skip
def test_numbers_with_a_unit_are_left_out_and_named(tmp_path: Path, text: str) -> None:
    weights = [text.format(40 + place % 30) for place in range(ROWS)]
    made, _, _ = checked(write_csv(tmp_path / "units.csv", table(ROWS, weight=weights)))
    assert reason_of(made, "weight") == "unit"
    assert f"'{weights[0]}'" in next(one.why for one in made.left_out if one.column == "weight")
    assert field_of(drafted(tmp_path / "units.csv", keep=("weight",)), "weight")["type"] == "category"


@pytest.mark.parametrize(
    ("values", "is_told"),
    [
        (["10 ml", "20 ml", "50 ml"], True),
        (["1st", "2nd", "3rd"], False),
        (["12A", "12B", "13A"], False),
        (["1/2", "3/4", "1/4"], True),
        (["1_000", "2_000", "3_000"], True),
        (["10+", "20+", "50+"], True),
        (["1", "2", "x"], False),
    ],
)
def test_few_values_are_words_and_odd_numbers_among_them_are_told(
    tmp_path: Path, values: list[str], *, is_told: bool
) -> None:
    made, _, _ = checked(write_csv(tmp_path / "few.csv", table(ROWS, dose=values * (ROWS // 3))))
    assert field_of(made, "dose")["categories"] == sorted(values)
    assert any("column 'dose'" in one for one in made.warnings) == is_told


@pytest.mark.parametrize(
    "mark", ["None", "none", "n/a", "TBD", "Infinity", "1.#IND", "∞", "pending", "?"]
)  # fmt: skip
@pytest.mark.parametrize("every", [3, 20])
def test_words_among_numbers_are_no_value_and_named(tmp_path: Path, mark: str, every: int) -> None:
    ages = [mark if place % every == 0 else f"{place}.25" for place in range(ROWS)]
    path = write_csv(tmp_path / "ages.csv", table(ROWS, age=ages))
    made, use_case, _ = checked(path)
    assert field_of(made, "age") == {"name": "age", "type": "number", "minimum": 0, "nullable": True}
    read = values_of(use_case, path, "age")
    assert [place for place, one in enumerate(read) if one != one] == list(range(0, ROWS, every))
    if mark.lower() not in ("none", "n/a"):
        assert mark in use_case.record.missing
        assert any(f"'{mark}' in {ROWS // every} rows of 'age'" in one for one in made.missing_why)


def test_a_word_that_another_column_holds_is_no_mark(tmp_path: Path) -> None:
    ages = ["high" if place % 4 == 0 else str(place) for place in range(ROWS)]
    columns = table(ROWS, age=ages, risk=["high", "low"] * (ROWS // 2))
    made, use_case, rows = checked(write_csv(tmp_path / "shared.csv", columns))
    assert "high" not in use_case.record.missing
    assert field_of(made, "risk")["categories"] == ["high", "low"]
    assert any("column 'age'" in one and "45 of 60 rows hold numbers" in one for one in made.warnings)
    assert rows.refused == 0


def test_never_is_no_time(tmp_path: Path) -> None:
    days = ["9999-12-31" if place % 10 == 0 else f"2024-01-{place % 28 + 1:02}" for place in range(ROWS)]
    made, _, rows = checked(write_csv(tmp_path / "days.csv", table(ROWS, birth=days)))
    assert field_of(made, "birth") == {"name": "birth", "type": "datetime", "nullable": True}
    assert any("6 rows hold a time such as '9999-12-31'" in one for one in made.warnings)
    assert rows.refused == 0


@pytest.mark.parametrize(
    ("first", "step", "words"),
    [(20240101, 1, "look like days"), (1_704_067_200, 3600, "(2024-01-01 to 2024-01-02)"), (5_000, 7, None)],
)
def test_numbers_that_may_be_times_are_told(tmp_path: Path, first: int, step: int, words: str | None) -> None:
    seen = [first + step * (place % 30) for place in range(ROWS)]
    made = drafted(write_csv(tmp_path / "seen.csv", table(ROWS, seen=seen)))
    assert field_of(made, "seen")["type"] == "integer"
    told = [one for one in made.warnings if "column 'seen'" in one]
    assert len(told) == (words is not None)
    assert words is None or words in told[0]


@pytest.mark.parametrize(
    ("dates", "is_ambiguous"),
    [
        ([f"2024/01/{day:02}" for day in range(1, 29)], False),
        ([f"{day}/01/2024" for day in range(13, 29)], False),
        ([f"{day:02}/{month:02}/2024" for day in range(1, 13) for month in (1, 2)], True),
    ],
)
def test_dates_that_are_not_read_are_told_by_what_they_are(
    tmp_path: Path, dates: list[str], *, is_ambiguous: bool
) -> None:
    column = (dates * ROWS)[:ROWS]
    made = drafted(write_csv(tmp_path / "dates.csv", table(ROWS, day=column)))
    why = next(one.why for one in made.left_out if one.column == "day")
    assert ("day and month could be taken for each other" in why) == is_ambiguous


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        ([f"{place},{place % 7}" for place in range(ROWS)], "0,0"),
        ([f"{place},{place % 2 * 5}" for place in range(ROWS)], "0,0"),
        ([f"{place + 1},000" for place in range(ROWS)], "1,000"),
        ([f"{place}%" for place in range(ROWS)], "0%"),
        ([f"${place % 30}" for place in range(ROWS)], "$0"),
        ([f"{place} EUR" for place in range(ROWS)], "0 EUR"),
    ],
)
def test_quantities_with_marks_and_units_are_no_classes(
    tmp_path: Path, labels: list[str], shown: str
) -> None:
    path = write_csv(tmp_path / "rows.csv", {**table(ROWS), "label": labels}, ";")
    with pytest.raises(CannotDraft, match=r"is a quantity.*Regression is not supported") as refused:
        drafted(path)
    assert f"written as '{shown}'" in str(refused.value)


def test_texts_of_json_are_read_with_a_point_only(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"size": n % 7, "price": f"{n},5", "label": "xy"[n % 2]} for n in range(ROWS)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert reason_of(drafted(path), "price") == "unit"


def test_a_unit_beside_marks_of_no_value_is_one(tmp_path: Path) -> None:
    shares = ["n/a" if place % 4 == 0 else f"{place}%" for place in range(ROWS)]
    assert reason_of(drafted(write_csv(tmp_path / "n.csv", table(ROWS, share=shares))), "share") == "unit"


def test_codes_with_zeros_before_them_may_be_classes(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "zips.csv", {**table(300), "label": [f"{n % 30:05}" for n in range(300)]})
    assert len(drafted(path).target.classes) == 30
