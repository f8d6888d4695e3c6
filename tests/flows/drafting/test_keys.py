"""Which columns identify, group and order rows."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.schema.files import FilesConfig
from flows.drafting.declarations import read_declared
from flows.drafting.errors import CannotDraft
from flows.drafting.sample import MOST_ROWS, count_different
from tests.flows.drafting.files import checked, drafted, reason_of, table, write_csv

ROWS = 200
WORDS = [f"name{chr(97 + place // 26)}{chr(97 + place % 26)}" for place in range(ROWS)]
TIMES = [(datetime(2024, 1, 1) + timedelta(hours=step)).isoformat() for step in range(ROWS)]


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "rownames", "index", "anything"])
def test_the_number_of_a_row_is_left_out(tmp_path: Path, name: str) -> None:
    columns = {name: list(range(ROWS)), **table(ROWS)}
    made = drafted(write_csv(tmp_path / "rows.csv", columns))
    assert [one.column for one in made.fields] == ["size"]
    assert [one.reason for one in made.left_out] == ["row_number"]
    assert made.id_key is None


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("customer_id", [f"c{place * 37 % 1000:05}" for place in range(ROWS)]),
        ("orderID", list(range(5000, 5000 + ROWS))),
        ("code", [f"{place:08x}-0000-4000-8000-{place:012x}" for place in range(ROWS)]),
    ],
)
def test_what_identifies_a_row_is_its_id(tmp_path: Path, name: str, values: list[Any]) -> None:
    made, use_case, _ = checked(write_csv(tmp_path / "ids.csv", table(ROWS, **{name: values})))
    assert use_case.record.id_column == name
    assert reason_of(made, name) == "id"


@pytest.mark.parametrize(
    ("name", "option", "values"),
    [
        ("policy", "--id policy", [f"{place * 37:04}-VHVEG" for place in range(ROWS)]),
        ("short name", "--id 'short name'", list(WORDS)),
        ("often", None, [f"{place // 2 * 37:04}-{place % 2 + place // 100}VHVEG" for place in range(ROWS)]),
    ],
)
def test_what_may_identify_a_row_is_told_with_the_way_to_say_so(
    tmp_path: Path, name: str, option: str | None, values: list[str]
) -> None:
    values = values if option else values[:-20] + values[:20]
    path = write_csv(tmp_path / "rows.csv", table(ROWS, **{name: values}))
    (out,) = drafted(path).left_out
    assert (out.column, out.reason) == (name, "one_off")
    assert ("where it says which row it is" in out.why) == (option is not None)
    if option is not None:
        assert f"`{option}` has later files correct that row" in out.why
        known = write_csv(
            tmp_path / "known.csv", table(ROWS, **{name: values, "customer_id": range(900, 900 + ROWS)})
        )
        assert not any("which row it is" in one.why for one in drafted(known).left_out)


def test_whose_rows_are_is_a_group(tmp_path: Path) -> None:
    whose = [f"c{place % 40}" for place in range(ROWS)]
    made, use_case, rows = checked(write_csv(tmp_path / "whose.csv", table(ROWS, customer_id=whose)))
    assert use_case.record.group == "customer_id"
    assert reason_of(made, "customer_id") == "group"
    assert rows.refused == 0


def test_the_one_time_of_rows_is_their_time(tmp_path: Path) -> None:
    _, use_case, rows = checked(write_csv(tmp_path / "times.csv", table(ROWS, created_at=TIMES)))
    assert use_case.record.time_column == "created_at"
    assert rows.refused == 0


def test_a_time_of_something_else_stays_a_field(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    born = random.permutation(TIMES).tolist()
    made = drafted(write_csv(tmp_path / "born.csv", table(ROWS, birth_date=born)))
    assert made.time_key is None
    assert reason_of(made, "birth_date") is None


def test_of_two_times_none_is_taken_and_both_are_named(tmp_path: Path) -> None:
    made = drafted(write_csv(tmp_path / "two.csv", table(ROWS, sent=TIMES, received=TIMES[::-1])))
    assert made.time_key is None
    assert any("'sent', 'received'" in one for one in made.warnings)


def test_times_to_come_are_no_times_of_rows(tmp_path: Path) -> None:
    later = [one.replace("2024", "2034") for one in TIMES]
    assert drafted(write_csv(tmp_path / "later.csv", table(ROWS, date=later))).time_key is None


def test_wishes_come_first(tmp_path: Path) -> None:
    columns = table(
        ROWS, code=list(range(7, 7 + ROWS)), when=TIMES, city=[f"city {place % 30}" for place in range(ROWS)]
    )
    made, use_case, _ = checked(
        write_csv(tmp_path / "own.csv", columns), id_column="code", time_column="when", group="city"
    )
    record = use_case.record
    assert (record.id_column, record.time_column, record.group) == ("code", "when", "city")
    assert made.id_key is not None
    kept = drafted(tmp_path / "own.csv", keep=("when", "code"), leave_out=("city",))
    assert {one.column for one in kept.fields} == {"size", "code", "when"}
    assert reason_of(kept, "city") == "asked"


def test_equal_records_are_told_apart_by_the_number_of_the_row(tmp_path: Path) -> None:
    columns: dict[str, list[Any]] = {
        "n": list(range(1, ROWS + 1)),
        "sex": ["f", "m"] * (ROWS // 2),
        "label": (["a"] * 3 + ["b"]) * (ROWS // 4),
    }
    _, use_case, rows = checked(write_csv(tmp_path / "equal.csv", columns))
    assert use_case.record.id_column == "n"
    assert rows.refused == 0
    without = {name: values for name, values in columns.items() if name != "n"}
    told = drafted(write_csv(tmp_path / "nameless.csv", without)).warnings
    assert any(f"{ROWS - 2} of {ROWS} rows are equal" in one for one in told)


def test_columns_that_say_the_same_are_kept_once(tmp_path: Path) -> None:
    columns = table(ROWS)
    made = drafted(write_csv(tmp_path / "same.csv", {**columns, "again": columns["size"]}))
    assert [one.column for one in made.fields] == ["size"]
    assert reason_of(made, "again") == "duplicate"


def test_a_number_of_the_row_that_becomes_its_id_is_told_with_what_a_later_file_does(tmp_path: Path) -> None:
    columns = {"row": range(1, 201), "size": [1, 1, 2, 2] * 50, "label": ["a", "b"] * 100}
    made = drafted(write_csv(tmp_path / "equal.csv", columns))
    assert made.id_key is not None
    assert any("'row' is the id of the row" in one and "begins again" in one for one in made.warnings)


def test_an_id_that_comes_again_is_refused_with_the_counts(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "again.csv", table(ROWS, who=[f"c{place % 3}" for place in range(ROWS)]))
    with pytest.raises(CannotDraft, match=r"3 different values in 200 rows.*197 would be lost.*--group who"):
        drafted(path, id_column="who")
    assert drafted(path, group="who").group is not None


def test_an_id_that_few_rows_share_is_taken_and_told(tmp_path: Path) -> None:
    who = [f"c{place}" for place in range(ROWS - 2)] + ["c0", "c1"]
    made = drafted(write_csv(tmp_path / "few.csv", table(ROWS, who=who)), id_column="who")
    assert made.id_key is not None
    assert any("198 different values in 200 rows" in one and "so 2 are" in one for one in made.warnings)


def test_ids_of_a_large_file_are_counted_in_all_of_it(tmp_path: Path) -> None:
    rows = MOST_ROWS + 2
    whose = [f"c{place // 2}" for place in range(rows)]
    columns = {"who": whose, "size": range(rows), "label": ["a", "b"] * (rows // 2)}
    path = write_csv(tmp_path / "large.csv", columns)
    sample = read_declared(path, "label").sample
    assert not sample.is_whole
    assert count_different(sample, FilesConfig(), "who") == (rows, rows // 2)


def test_numbers_of_somebody_that_come_again_are_told(tmp_path: Path) -> None:
    numbers = [1000 + place % 90 for place in range(ROWS)]
    made = drafted(write_csv(tmp_path / "numbers.csv", table(ROWS, customer_no=numbers)))
    assert [one.column for one in made.fields] == ["size", "customer_no"]
    (told,) = [one for one in made.warnings if "customer_no" in one]
    assert "90 different values in 200 rows" in told
    assert "--group customer_no" in told


@pytest.mark.parametrize(
    "wishes",
    [
        {"id_column": "a", "time_column": "a"},
        {"id_column": "a", "group": "a"},
        {"keep": ("a",), "leave_out": ("a",)},
        {"id_column": "a", "leave_out": ("a",)},
    ],
)
def test_a_column_can_be_asked_for_in_one_way_only(tmp_path: Path, wishes: dict[str, Any]) -> None:
    path = write_csv(tmp_path / "both.csv", table(ROWS, a=list(range(ROWS))))
    with pytest.raises(CannotDraft, match="both got 'a'; allowed: one of them"):
        drafted(path, **wishes)


def test_counts_of_equal_rows_agree(tmp_path: Path) -> None:
    columns = {"kind": ["a", "a", "b", "c"] * 50, "label": ["x", "y", "x", "x"] * 50}
    made = drafted(write_csv(tmp_path / "equal.csv", columns))
    told = "197 of 200 rows are equal to another in all fields, 99 of them with different labels"
    assert any(told in one for one in made.warnings)


def test_a_group_that_records_have_for_something_else_is_refused(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "ids.csv", table(ROWS, id=[place % 90 for place in range(ROWS)]))
    with pytest.raises(CannotDraft, match="--group: got 'id', which every record has for something else"):
        drafted(path, group="id")
    assert any("another name than 'id'" in one for one in drafted(path).warnings)


def test_the_target_is_not_offered_for_a_misspelt_column(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "near.csv", table(ROWS, batch=[place % 9 for place in range(ROWS)]))
    for column, near in (("batc", r" \(is 'batch' meant\?\)"), ("labels", "")):
        with pytest.raises(CannotDraft, match=f"--group: .*near.csv: no column '{column}'{near}; present: '"):
            drafted(path, group=column)
        with pytest.raises(CannotDraft) as refused:
            drafted(path, group=column)
        assert "'batch'" in str(refused.value)
        assert "'label'" not in str(refused.value)
