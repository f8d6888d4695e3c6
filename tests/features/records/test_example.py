"""The example record is one that the contract accepts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from configs.loading import load_use_cases
from configs.schema import FieldConfig, RecordConfig
from features.records.contract import RecordContract
from features.records.example import example_record


def accepted(record: RecordConfig) -> bool:
    example = json.loads(json.dumps(example_record(record)))
    return not RecordContract(record).check_records([example]).problems


def test_every_shipped_use_case_has_a_valid_example(configs: Path) -> None:
    for use_case in load_use_cases([configs]).values():
        assert accepted(use_case.record), use_case.name


@pytest.mark.parametrize(
    "options",
    [
        {"type": "number", "minimum": 5},
        {"type": "number", "maximum": -3},
        {"type": "integer", "minimum": 2, "maximum": 3},
        {"type": "integer", "maximum": 0},
        {"type": "boolean"},
        {"type": "category", "categories": ["a", "b"]},
        {"type": "category", "max_length": 3},
        {"type": "text", "max_length": 2},
        {"type": "datetime"},
        {"type": "image", "shape": [9, 14], "range": [-1, 1]},
    ],
    ids=str,
)
def test_every_type_has_a_valid_example(options: dict[str, Any]) -> None:
    assert accepted(RecordConfig(fields=(FieldConfig(name="field", **options),)))
