"""Made-up labelled rows of 20 columns: written batch by batch into a Parquet file, and read so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from configs.schema import UseCase
from features.records.contract import Columns
from features.records.rows import MOST_ROWS, RowBatch

NUMBERS, CATEGORIES = 12, {"colour": 6, "region": 30, "product": 60, "shop": 70}
HOUR = np.timedelta64(1, "s")
START = np.datetime64("2024-01-01", "us")
FIELDS: list[dict[str, Any]] = [
    *({"name": f"number_{place}", "type": "number", "nullable": place < 2} for place in range(NUMBERS)),
    {"name": "count", "type": "integer"},
    {"name": "amount", "type": "integer"},
    {"name": "member", "type": "boolean"},
    *({"name": name, "type": "category"} for name in CATEGORIES),
    {"name": "since", "type": "datetime"},
]


def make_use_case(estimator: str, *, max_memory: str | None = None, **params: Any) -> UseCase:
    """A use case of these rows."""
    return UseCase.model_validate(
        {
            "name": "growth",
            "title": "Made-up rows",
            "kind": "tabular",
            "record": {"fields": FIELDS},
            "target": {"task": "binary", "classes": ["no", "yes"]},
            "model": {"estimator": estimator, "params": params},
            "training": {"challengers": [{"name": "full"}], "max_memory": max_memory},
        }
    )


def make_batch(first: int, count: int) -> RowBatch:
    """Rows from a number on: always the same ones; what they hold tells four of five labels."""
    random = np.random.default_rng((11, first))
    columns: Columns = {f"number_{place}": random.normal(size=count) for place in range(NUMBERS)}
    for place in range(2):
        columns[f"number_{place}"][random.random(count) < 0.05] = np.nan
    columns["number_11"] = np.exp(columns["number_11"])
    columns["count"] = random.poisson(3, count).astype(float)
    columns["amount"] = random.integers(0, 10_000, count).astype(float)
    columns["member"] = (random.random(count) < 0.3).astype(float)
    codes = {name: random.zipf(1.4, count) % values for name, values in CATEGORIES.items()}
    for name, values in CATEGORIES.items():
        texts = np.array([f"{name} {number}" for number in range(values)], object)
        columns[name] = texts[codes[name]]
    columns["since"] = START - random.integers(0, 2000, count) * np.timedelta64(1, "D")
    score = columns["number_2"] + columns["number_3"] * columns["number_4"] + 0.8 * columns["member"]
    score = score + 0.15 * (codes["colour"] % 3) - 0.3 * (codes["region"] % 2) + random.normal(size=count)
    labels = np.array(["no", "yes"], object)[(score > 0.4).astype(int)]
    seq = np.arange(first, first + count) + 1
    return RowBatch(columns, labels, seq, START + seq * HOUR)


def write_rows(path: Path, rows: int) -> None:
    """Write so many into a Parquet file, whole or not at all."""
    draft, writer = path.with_suffix(".draft"), None
    for first in range(0, rows, MOST_ROWS):
        table = _to_table(make_batch(first, min(MOST_ROWS, rows - first)))
        writer = writer or pq.ParquetWriter(draft, table.schema, compression="zstd")
        writer.write_table(table)
    if writer is not None:
        writer.close()
    draft.rename(path)


class ParquetRows:
    """The rows of such a file, as a source of batches."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.seq = pq.read_table(path, columns=["seq"])["seq"].to_numpy()

    def __len__(self) -> int:
        return len(self.seq)

    def __iter__(self) -> Iterator[RowBatch]:
        with pq.ParquetFile(self._path, pre_buffer=False, read_dictionary=[*CATEGORIES, "label"]) as file:
            for batch in file.iter_batches(MOST_ROWS):
                arrays = {name: _from_array(batch.column(name)) for name in batch.schema.names}
                columns = {field["name"]: arrays[field["name"]] for field in FIELDS}
                yield RowBatch(columns, arrays["label"], arrays["seq"], arrays["time"])


def _to_table(rows: RowBatch) -> pa.Table:
    arrays = {**rows.columns, "label": rows.labels, "seq": rows.seq, "time": rows.time}
    return pa.table(
        {
            name: pa.array(values, pa.string()).dictionary_encode() if values.dtype == object else values
            for name, values in arrays.items()
        }
    )


def _from_array(array: Any) -> Any:
    """As the checks of records give columns: texts are objects, one for each value that there is."""
    if pa.types.is_dictionary(array.type):
        texts = np.array(array.dictionary.to_pylist(), object)
        return texts[array.indices.to_numpy(zero_copy_only=False)]
    values = array.to_numpy(zero_copy_only=False)
    return values.astype("datetime64[us]") if values.dtype.kind == "M" else values
