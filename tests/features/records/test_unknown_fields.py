"""Fields that a use case does not have: which is meant for which that is missing, and how far one looks."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from configs.schema import FieldConfig, RecordConfig
from configs.spelling.near_names import nearest
from features.records import unknown_fields
from features.records.contract import RecordContract

NAMES = ("total_day_minutes", "total_eve_minutes", "night")
FIELDS = (*(FieldConfig(name=name, type="number") for name in NAMES[:2]),
          FieldConfig(name="night", type="number", column="Minutes of the night"))  # fmt: skip
CONTRACT = RecordContract(RecordConfig(fields=FIELDS, group="caller"))
GOOD = dict.fromkeys(NAMES, 1.0)


def asked(record: dict[str, float]) -> dict[str, str]:
    """Field -> what its problem asks."""
    problems = CONTRACT.check_records([GOOD, record]).problems
    return {one.field: one.message.partition("allowed: a number")[2] for one in problems}


def test_an_unknown_field_is_meant_for_the_nearest_only() -> None:
    record = {"total_day_minuts": 1.0, "night": 1.0}
    assert asked(record) == {
        "total_day_minutes": "; is 'total_day_minuts' meant for it?",
        "total_eve_minutes": "",
    }
    assert asked({**record, "total_day_minutes": 2.0}) == {"total_eve_minutes": ""}


def test_the_name_of_its_column_asks_too() -> None:
    record = {"total_day_minutes": 1.0, "total_eve_minutes": 1.0, "minutes of the night": 1.0}
    assert asked(record) == {"night": "; is 'minutes of the night' meant for it?"}


def test_a_value_that_is_refused_and_a_record_that_is_none_ask_nothing() -> None:
    assert asked({**GOOD, "night": -float("inf"), "nigth": 1.0}) == {"night": ""}
    (problem,) = CONTRACT.check_records([3]).problems  # type: ignore[list-item]
    assert "meant" not in problem.message


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names that are compared with those of the fields, as they come."""
    names: list[str] = []

    def noted(name: str, allowed: Iterable[str]) -> str | None:
        names.append(name)
        return nearest(name, allowed)

    monkeypatch.setattr(unknown_fields, "nearest", noted)
    return names


def test_thousands_of_names_are_not_all_compared(
    compared: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unknown_fields, "MOST_COMPARED", 40)
    records = [{f"other {row} {place}": 1.0 for place in range(10)} for row in range(10)]
    assert len(CONTRACT.check_records(records).problems) == 3 * len(records)
    assert len(compared) == 40 // 4
    assert len(CONTRACT.find_unknown(records)) == 100
    assert len(compared) == 2 * 40 // 4


def test_a_name_is_compared_once_and_only_where_something_is_wrong(compared: list[str]) -> None:
    assert CONTRACT.check_records([{**GOOD, "nigth": 1.0}]).problems == ()
    assert compared == []
    record = dict.fromkeys((*NAMES[:2], "nigth"), 1.0)
    assert len(CONTRACT.check_records([record] * 50).problems) == 50
    assert compared == ["nigth"]
