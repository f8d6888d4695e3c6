"""Values of frames and CSV become those of records, as files are read."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from configs.schema import FieldConfig, RecordConfig
from features.records.contract import RecordContract
from service.protocols.cells import read_cell

MARKERS = ("", "NA")
MANY: dict[str, list[Any]] = {
    "number": [
        "1",
        " 2.5 ",
        "+3e2",
        "abc",
        "",
        "NA",
        "1e999",
        True,
        7,
        1.5,
        float("nan"),
        None,
        "0x1",
        "1_0",
    ],
    "integer": ["1", "-2", "3.0", "3.5", "NA", 4, 5.0, float("nan"), None, "9" * 30],
    "boolean": ["true", "FALSE", " yes ", "0", "1.0", "maybe", "NA", True, 0, 1.0, 2, None],
    "category": ["a", "b", "NA", "", 1, 2.0, 2.5, float("nan"), None],
    "text": ["a", "", "NA", 3, 4.0, None, float("nan")],
    "datetime": ["2024-05-01T12:30:00Z", " 2024-05-01 ", "NA", "soon", None],
}


@pytest.mark.parametrize(
    ("kind", "value"), [(kind, value) for kind, values in MANY.items() for value in values]
)
def test_a_cell_is_read_as_the_column_of_a_file_is(kind: Any, value: Any) -> None:
    """One value alone, so that the types of its neighbours do not matter."""
    field = FieldConfig(name="x", type=kind, nullable=True)
    contract = RecordContract(RecordConfig(fields=(field,), missing=MARKERS))
    from_file = contract.check_table(pa.table({"x": pa.array([value], from_pandas=True)}))
    cell = read_cell(field, value, MARKERS)
    read = contract.check_records([{"x": cell}])
    assert bool(read.problems) == bool(from_file.problems), (cell, read.problems, from_file.problems)
    assert contract.to_json(read.columns) == contract.to_json(from_file.columns)


def test_an_array_written_as_text_is_one_again() -> None:
    field = FieldConfig(name="x", type="image", shape=(1, 2))
    assert read_cell(field, " [[0, 255]]", MARKERS) == [[0, 255]]
    assert read_cell(field, "[0, ", MARKERS) == "[0, "
    assert read_cell(field, "iVBORw0KGgo=", MARKERS) == "iVBORw0KGgo="
