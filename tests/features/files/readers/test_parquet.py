"""Parquet: any type is read or refused by the row, and a few bytes stand for no more than is allowed."""

from __future__ import annotations

from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.schema import UseCase
from features.errors import SourceError
from features.files.labelled_rows import LabelledRows, RowReader
from features.files.layout import layout_of
from features.files.sources import open_source

USE_CASE = UseCase.model_validate(
    {
        "name": "t",
        "title": "T",
        "kind": "tabular",
        "record": {"fields": [{"name": "n", "type": "number"}, {"name": "c", "type": "category"}]},
        "target": {"task": "multiclass"},
        "model": {"estimator": "none"},
    }
)


def write(path: Path, *, schema: bool = True, **columns: Any) -> Path:
    usual = {"n": pa.array([1.0, 2.0]), "c": pa.array(["x", "y"]), "label": pa.array(["a", "b"])}
    pq.write_table(pa.table(usual | columns), path, store_schema=schema)
    return path


def read(path: Path) -> tuple[list[LabelledRows], tuple[str, ...]]:
    reader = RowReader(USE_CASE)
    with closing(open_source(path, layout_of(USE_CASE))) as source:
        reader.require_columns(source)
        return [reader.read(batch) for batch in source.batches], source.notes


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        (pa.array(np.array([0.5, 2], dtype=np.float16)), [0.5, 2]),
        (pa.array([Decimal("1.25"), Decimal(2)], pa.decimal128(10, 2)), [1.25, 2]),
        (pa.array([Decimal("1.25"), Decimal(2)], pa.decimal128(38, 20)), [1.25, 2]),
        (pa.array(["1.25", "2"], pa.large_string()), [1.25, 2]),
        (pa.array(["1.25", "2"]).dictionary_encode(), [1.25, 2]),
        (pa.array([1, 2], pa.uint8()), [1, 2]),
    ],
    ids=str,
)
def test_numbers_of_any_type(tmp_path: Path, numbers: pa.Array, expected: list[float]) -> None:
    (rows,), _ = read(write(tmp_path / "f.parquet", n=numbers))
    assert (rows.columns["n"].tolist(), rows.refused) == (expected, ())


@pytest.mark.parametrize("precision", [5, 15, 16, 18, 38])
def test_a_decimal_is_what_the_same_digits_are_in_a_request(tmp_path: Path, precision: int) -> None:
    digits = ["0.30", "4.56", "0.00", "-2.00"]
    sent = [{"n": orjson.loads(one), "c": orjson.loads(one)} for one in digits]
    asked = RowReader(USE_CASE).contract.check_records(sent).all_or_raise()
    decimals = pa.array([Decimal(one) for one in digits], pa.decimal128(precision, 2))
    (rows,), _ = read(write(tmp_path / "f.parquet", n=decimals, c=decimals, label=decimals))
    assert asked["n"].tolist() == [0.3, 4.56, 0.0, -2.0]
    assert rows.columns["n"].tolist() == asked["n"].tolist()
    assert rows.columns["c"].tolist() == asked["c"].tolist() == ["0.3", "4.56", "0", "-2"]
    assert rows.labels == ["0.3", "4.56", "0", "-2"]


@pytest.mark.parametrize(
    "odd",
    [
        pa.array([5, 6], pa.duration("ns")),
        pa.array([5, 6], pa.time64("ns")),
        pa.array([{"a": 1}, {"a": 2}]),
        pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())),
        pa.array([[{"a": 1}], []]),
        pa.array([[1], [2]]),
        pa.array([b"\xff", b"x"]),
        pa.array([2**62, 1], pa.timestamp("us")),
        pa.array([float("inf"), float("-inf")], pa.float32()),
    ],
    ids=lambda array: str(array.type),
)
def test_what_is_no_number_refuses_its_row_with_the_reason(tmp_path: Path, odd: pa.Array) -> None:
    (rows,), _ = read(write(tmp_path / "f.parquet", n=odd))
    assert rows.labels == []
    assert [refused.line for refused in rows.refused] == [1, 2]
    assert all("field 'n': got" in refused.reason for refused in rows.refused)


@pytest.mark.parametrize(
    "odd", [pa.array(np.array([1e4, 2], dtype=np.float16)), pa.array([1e20, 1.0])], ids=str
)
def test_numbers_where_texts_belong_break_nothing(tmp_path: Path, odd: pa.Array) -> None:
    (rows,), _ = read(write(tmp_path / "f.parquet", c=odd, label=odd))
    assert len(rows.labels) + len(rows.refused) == 2


def test_quarantine_has_every_column_that_is_small(tmp_path: Path) -> None:
    (rows,), notes = read(write(tmp_path / "f.parquet", n=pa.array(["?", "1"]), z=pa.array([7, 8])))
    assert rows.refused[0].row == {"n": "?", "c": "x", "label": "a", "z": 7}
    assert notes == ()


def test_columns_that_are_large_and_not_used_are_not_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    large = pa.array([rng.bytes(50_000), rng.bytes(50_000)])
    (rows,), notes = read(write(tmp_path / "f.parquet", n=pa.array(["?", "1"]), large=large))
    assert rows.refused[0].row == {"n": "?", "c": "x", "label": "a"}
    assert notes == ("1 columns that are not used were not read: 'large'",)


def test_a_row_that_is_long_is_cut_in_quarantine(tmp_path: Path) -> None:
    (rows,), _ = read(write(tmp_path / "f.parquet", n=pa.array(["z" * 400_000, "1"])))
    assert rows.refused[0].row["n"] == "z" * 200 + "… cut (400000 in all)"
    assert rows.refused[0].row["c"] == "x"


def nested(depth: int) -> pa.Array:
    kind = pa.int8()
    for _ in range(depth):
        kind = pa.struct([("a", kind)])
    return pa.nulls(2, kind)


def same(count: int, text: str) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, dtype=np.int32)), pa.array([text]))


@pytest.mark.parametrize(
    ("limits", "columns", "message"),
    [
        ({}, {"n": nested(150)}, "column 'n': 151 lists and objects within one another; allowed: a depth"),
        ({"PARQUET_ROWS_FREE": 1}, dict.fromkeys(("n", "c", "label"), pa.nulls(100_000)), "100000 rows in"),
        ({"PARQUET_FREE": 1}, {"n": pa.array(["0" * 1_000_000, "1"])}, "column 'n' unpacks to"),
        (
            {"LIST_VALUES": 10},
            {"n": pa.array([[0] * 20, []])},
            "column 'n' has 21 values of lists in one row",
        ),
        ({"PARQUET_FOOTER": 10}, {}, "its description of columns and row groups has"),
        ({"COLUMNS": 2}, {}, "3 columns; allowed: 2"),
        (
            {"WRITTEN_FREE": 10_000},
            dict.fromkeys(("n", "c", "label"), same(1000, "x" * 1000)),
            "texts of its dictionaries",
        ),
    ],
)
def test_a_file_beyond_a_limit_is_refused_by_its_name(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    limits: dict[str, int],
    columns: dict[str, Any],
    message: str,
) -> None:
    for name, value in limits.items():
        monkeypatch.setattr(f"features.files.readers.parquet.{name}", value)
    path = write(tmp_path / "f.parquet", schema=False, **columns)
    with pytest.raises(SourceError, match=message):
        read(path)


def test_names_with_points_are_columns(tmp_path: Path) -> None:
    (rows,), _ = read(write(tmp_path / "f.parquet", **{"n.z": pa.array([1, 2])}))
    assert rows.columns["n"].tolist() == [1.0, 2.0]
