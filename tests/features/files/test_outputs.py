"""Tables written to files: what is no cell by itself is written as text that can be read back."""

from __future__ import annotations

import base64
import csv
import datetime as dt
import json
from pathlib import Path

import pyarrow as pa
import pytest

from features.files.outputs import write_tables

PNG = b"\x89PNG\r\n\x1a\n\xff"
TABLE = pa.table(
    {
        "image": pa.array([PNG, None]),
        "took": pa.array([dt.timedelta(seconds=5), dt.timedelta(days=1, seconds=1)]),
        "labels": pa.array([["a", "b"], []], pa.list_(pa.string())),
        "inside": pa.array([{"image": PNG}, None]),
    }
)


def cells(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary(len(PNG))])
def test_bytes_are_base64_in_cells(tmp_path: Path, kind: pa.DataType) -> None:
    table = pa.table({"image": pa.array([PNG, None], kind), "x": pa.array([1, 2])})
    write_tables([table], table.schema, tmp_path / "rows.csv")
    first, second = cells(tmp_path / "rows.csv")
    assert base64.b64decode(first["image"]) == PNG
    assert second == {"image": "", "x": "2"}


def test_what_is_no_cell_is_text(tmp_path: Path) -> None:
    write_tables([TABLE], TABLE.schema, tmp_path / "rows.csv")
    first, second = cells(tmp_path / "rows.csv")
    assert (first["took"], second["took"]) == ("0:00:05", "1 day, 0:00:01")
    assert json.loads(first["labels"]) == ["a", "b"]
    assert json.loads(first["inside"]) == {"image": base64.b64encode(PNG).decode()}


def test_bytes_are_base64_in_json_lines(tmp_path: Path) -> None:
    write_tables([TABLE], TABLE.schema, tmp_path / "rows.jsonl")
    first, second = map(json.loads, (tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines())
    assert base64.b64decode(first["image"]) == PNG
    assert second["image"] is None
