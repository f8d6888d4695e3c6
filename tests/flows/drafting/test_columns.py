"""What a column of a file becomes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from flows.drafting.columns import facts_of, guess
from flows.drafting.sample import DEFAULT_MISSING, MOST_VALUES, Column, spelled
from flows.drafting.spelling.number_forms import number_form
from tests.flows.drafting.files import checked, field_of, reason_of, table, write_csv


def guessed(
    values: list[Any], name: str = "field", **files: str
) -> tuple[str | None, dict[str, Any], str | None]:
    """Type, options and reason of a column with these values."""
    counts = Counter(map(spelled, values))
    column = Column(name, values, counts if len(counts) <= MOST_VALUES else None)
    found = guess(facts_of(column, DEFAULT_MISSING), files)
    return found.kind, found.options, found.reason


DAYS = [f"2024-01-{day:02}" for day in range(1, 29)]
SENTENCES = [f"the {place}th of many long sentences" for place in range(40)]


@pytest.mark.parametrize(
    ("values", "kind", "options"),
    [
        (["1", "2", "30"] * 9, "integer", {"minimum": 0}),
        (["-1", "2", "30"] * 9, "integer", {}),
        (["1.0", "2.0", ""] * 9, "integer", {"minimum": 0, "nullable": True}),
        (["1.5", "2", "-3"] * 9, "number", {}),
        (["0", "1"] * 9, "integer", {"minimum": 0, "maximum": 1}),
        ([0.5, 2.0, None] * 9, "number", {"minimum": 0, "nullable": True}),
        (["yes", "no"] * 9, "boolean", {}),
        ([True, False, None] * 9, "boolean", {"nullable": True}),
        (["TRUE", "FALSE"] * 9, "boolean", {}),
        (["Yes", "no", "Y", "N"] * 9, "boolean", {}),
        (["red", "blue", "green"] * 9, "category", {"categories": ["blue", "green", "red"]}),
        (["red", "blue"] * 9 + ["green"], "category", {}),
        (["02139", "10001", "94110"] * 9, "category", {"categories": ["02139", "10001", "94110"]}),
        (["x", ""] * 9, "category", {"categories": ["x"], "nullable": True}),
        (DAYS, "datetime", {}),
        (SENTENCES, "text", {}),
        ([f"ann{place}@mail.example" for place in range(40)], "text", {}),
    ],
)  # fmt: skip
def test_the_type_of_a_column(values: list[Any], kind: str, options: dict[str, Any]) -> None:
    assert guessed(values) == (kind, options, None)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (["", "NA", None] * 9, "empty"),
        (["x"] * 9, "constant"),
        ([f"{place * 37:04}-VHVEG" for place in range(40)], "one_off"),
        ([f"{day:02}/05/2024" for day in range(1, 29)], "unreadable_time"),
        ([f"May {day}, 2024" for day in range(1, 29)], "unreadable_time"),
        ([f"${place}.50" for place in range(100, 140)], "unit"),
        ([str(2**60 + place) for place in range(40)], "id"),
    ],
)
def test_what_is_no_field(values: list[Any], reason: str) -> None:
    assert guessed(values)[::2] == (None, reason)


@pytest.mark.parametrize(
    ("first", "unit"), [(1_700_000_000, "s"), (1_700_000_000_000, "ms"), (1_700_000_000_000_000, "us")]
)
def test_numbers_under_a_name_of_times_are_times(first: int, unit: str) -> None:
    values = [str(first + step) for step in range(30)]
    assert guessed(values, "created_at") == ("datetime", {"epoch": unit}, None)
    assert guessed(values, "amount")[0] == "integer"


def test_one_word_among_numbers_is_a_mistake_and_named() -> None:
    values = [str(place) for place in range(200)] + ["oops"]
    counts = Counter(values)
    found = guess(facts_of(Column("n", values, counts), DEFAULT_MISSING), {})
    assert found.kind == "integer"
    assert found.doubt is not None
    assert "'oops'" in found.doubt


@pytest.mark.parametrize(
    ("texts", "form"),
    [
        (["1.5", "2"], (".", None)),
        (["1,5", "22,75"], (",", None)),
        (["1,234", "22,750", "7"], (".", ",")),
        (["1,234.5", "22,750.25"], (".", ",")),
        (["1.234,5", "22.750,25"], (",", ".")),
        (["1 234,5", "22 750,25"], (",", " ")),
        (["1'234.5", "22'750.25"], (".", "'")),
        (["Smith, John", "Doe, Jane"], (".", None)),
    ],
)
def test_how_numbers_are_written(texts: list[str], form: tuple[str, str | None]) -> None:
    assert number_form([texts]) == form


def test_a_decimal_comma_is_declared_and_read(tmp_path: Path) -> None:
    columns = table(60, price=[f"{place},5" for place in range(60)])
    columns["size"] = [str(one).replace(".", ",") for one in columns["size"]]
    made, use_case, rows = checked(write_csv(tmp_path / "prices.csv", columns, ";"))
    assert use_case.files.decimal == ","
    assert field_of(made, "price") == {"name": "price", "type": "number", "minimum": 0}
    assert rows.refused == 0


@pytest.mark.parametrize("mark", ["?", "-", "n.a."])
def test_other_marks_of_no_value_are_declared(tmp_path: Path, mark: str) -> None:
    columns = table(60, age=[mark if place % 7 == 0 else place for place in range(60)])
    made, use_case, rows = checked(write_csv(tmp_path / "ages.csv", columns))
    assert mark in use_case.record.missing
    assert field_of(made, "age")["nullable"] is True
    assert field_of(made, "age")["type"] == "integer"
    assert rows.refused == 0


def test_a_code_below_zero_is_no_value(tmp_path: Path) -> None:
    columns = table(60, income=[-999 if place % 7 == 0 else place * 100 for place in range(60)])
    made, use_case, rows = checked(write_csv(tmp_path / "incomes.csv", columns))
    assert "-999" in use_case.record.missing
    assert field_of(made, "income") == {"name": "income", "type": "integer", "minimum": 0, "nullable": True}
    assert rows.refused == 0


def test_names_that_no_field_may_have_keep_their_column(tmp_path: Path) -> None:
    odd = ["Net income (EUR)", "größe", "2nd", "id", "a b", "a_b", ""]
    columns = table(
        60, **{name: [f"{step % (place + 3)}.5" for step in range(60)] for place, name in enumerate(odd)}
    )
    made, use_case, rows = checked(write_csv(tmp_path / "odd.csv", columns))
    assert {one.name: one.source_column for one in use_case.record.fields} == {
        "size": "size", "Net_income_EUR": "Net income (EUR)", "grosse": "größe", "c_2nd": "2nd", "id_": "id",
        "a_b_2": "a b", "a_b": "a_b", "column_8": "column 8",
    }  # fmt: skip
    assert rows.refused == 0
    assert reason_of(made, "size") is None
