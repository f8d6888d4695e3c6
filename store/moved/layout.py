"""The columns of a table of predictions: those of Ratchet by name, each field under `field_<name>`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from configs.schema import RecordConfig
from features.records.contract import RecordContract
from features.records.stored_records import check_stored
from store.history.layout import Layout, as_column, to_arrow

OWN_COLUMNS: tuple[tuple[str, pa.DataType], ...] = (
    ("id", pa.string()),
    ("batch", pa.int64()),
    ("month", pa.string()),
    ("predicted_at", pa.timestamp("us", tz="UTC")),
    ("record_id", pa.string()),
    ("record_group", pa.string()),
    ("label", pa.string()),
    ("score", pa.float64()),
    ("scores", pa.string()),
    ("model_version", pa.int32()),
    ("source", pa.string()),
    ("record", pa.string()),
)
STORED = (
    "id", "predicted_at", "record_id", "record_group", "label", "score", "scores", "model_version", "source",
    "record",
)  # fmt: skip
"""Those that the database has too, with its names; `scores` and `record` are JSON."""
Row = dict[str, Any]
"""A prediction by the names of `STORED`; JSON as text."""


@dataclass(frozen=True)
class PredictionLayout:
    """The table of one `record` section; predictions moved under another section are in another table."""

    record: RecordConfig

    @property
    def name(self) -> str:
        """By which the table is called."""
        return Layout(self.record).name

    @property
    def schema(self) -> pa.Schema:
        """Of the whole table."""
        fields = Layout(self.record).schema
        columns = [fields.field(name) for name in Layout(self.record).columns.values()]
        return pa.schema([*(pa.field(name, kind) for name, kind in OWN_COLUMNS), *columns])

    def lines(self, batch: int, rows: Sequence[Row]) -> pa.Table:
        """Predictions as lines of the table.

        What a record holds is in the columns of its fields. Where these do not give the same JSON back, as of
        a record of an earlier configuration, it is kept as text too.
        """
        contract, names = RecordContract(self.record), Layout(self.record).columns
        checked = check_stored(contract, [row["record"] for row in rows])
        again = dict(zip(checked.rows.tolist(), contract.to_json(checked.columns), strict=True))
        place = {int(row): number for number, row in enumerate(checked.rows)}
        fitting = pa.array([place.get(row) for row in range(len(rows))], pa.int64())
        values: dict[str, Any] = {name: [row[name] for row in rows] for name in STORED}
        values["batch"] = [batch] * len(rows)
        values["month"] = [f"{row['predicted_at'].astimezone(UTC):%Y-%m}" for row in rows]
        values["record"] = [
            None if row in again and _equal(again[row], one["record"]) else one["record"]
            for row, one in enumerate(rows)
        ]
        for field in self.record.fields:
            column = to_arrow(field, checked.columns[field.name])
            values[names[field.name]] = column.take(fitting)
        schema = self.schema
        return pa.table([as_column(values[one.name], one.type) for one in schema], schema=schema)

    def rows(self, lines: pa.Table) -> Iterator[Row]:
        """Predictions as they went in."""
        contract, history = RecordContract(self.record), Layout(self.record)
        typed = np.flatnonzero(lines["record"].is_null().to_numpy(zero_copy_only=False))
        documents = dict(
            zip(typed.tolist(), contract.to_json(history.fields_of(lines.take(pa.array(typed)))), strict=True)
        )
        for number, row in enumerate(lines.select(list(STORED)).to_pylist()):
            yield row | {"record": documents.get(number, row["record"])}


def _equal(one: str, other: str) -> bool:
    """Whether two JSON texts say the same, each number as a number of the same kind."""
    first, second = (orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS) for text in (one, other))
    return first == second
