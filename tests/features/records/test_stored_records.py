"""Records that were stored while a field had another type."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from configs.schema import RecordConfig
from features.records.contract import RecordContract
from features.records.stored_records import check_stored


def contract_of(kind: str, **options: Any) -> RecordContract:
    field = {"name": "a", "type": kind, "nullable": True, **options}
    return RecordContract(RecordConfig.model_validate({"fields": [field]}))


@pytest.mark.parametrize("kind", ["number", "integer", "boolean"])
@pytest.mark.parametrize("text", ["NA", "", " none ", "5", "yes"])
def test_a_text_is_refused_where_a_number_or_a_truth_stands_now(kind: str, text: str) -> None:
    checked = check_stored(contract_of(kind), [{"a": text}, {"a": None}])
    assert checked.rows.tolist() == [1]
    assert [problem.row for problem in checked.problems] == [0]
    assert checked.problems[0].message.startswith(f"field 'a': got {text!r} (text)")


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2024-05-01 24:00", "2024-05-02"),
        (" 2024-05-01", "2024-05-01"),
        ("20240501T123000Z", "2024-05-01T12:30:00"),
        ("2024-05-01T12:30:00Z", "2024-05-01T12:30:00"),
        ("NA", "NaT"),
        ("", "NaT"),
        ("0001-01-01T00:00:00+05:00", "NaT"),
        ("0001-01-01T00:00:00.000000Z", "0001-01-01"),
    ],
)
def test_a_text_where_a_time_stands_now_is_the_time_that_it_spells(text: str, time: str) -> None:
    checked = check_stored(contract_of("datetime"), [{"a": text}, {"a": "2024-07-01T00:00:00.000000Z"}])
    assert checked.problems == ()
    expected = np.array([time, "2024-07-01"], dtype="datetime64[us]")
    np.testing.assert_array_equal(checked.columns["a"], expected)


@pytest.mark.parametrize("kind", ["category", "text", "datetime"])
@pytest.mark.parametrize("value", [5, 2.5, True])
def test_a_number_or_a_truth_is_refused_where_a_text_or_a_time_stands_now(kind: str, value: Any) -> None:
    checked = check_stored(contract_of(kind), [{"a": value}])
    assert len(checked.rows) == 0
    assert checked.problems[0].field == "a"
    epoch = check_stored(contract_of("datetime", epoch="s"), [{"a": value}])
    assert len(epoch.rows) == 0
