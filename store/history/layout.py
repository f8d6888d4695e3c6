"""The columns of the table: those of Ratchet under their names, each field under `field_<name>`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from configs.schema import FieldConfig, RecordConfig
from features.records.contract import Columns
from store.feedback.rows import FeedbackRows
from store.history.digests import row_digests

OWN_COLUMNS: tuple[tuple[str, pa.DataType], ...] = (
    ("seq", pa.int64()),
    ("batch", pa.int32()),
    ("kind", pa.string()),
    ("identity", pa.string()),
    ("said_by", pa.string()),
    ("label", pa.string()),
    ("time", pa.timestamp("us", tz="UTC")),
    ("ids", pa.int64()),
    ("contents", pa.int64()),
    ("groups", pa.int64()),
    ("share", pa.float64()),
    ("digest_1", pa.int64()),
    ("digest_2", pa.int64()),
    ("misfit", pa.string()),
)
_TYPES: dict[str, pa.DataType] = {
    "number": pa.float64(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
    "category": pa.string(),
    "text": pa.string(),
    "datetime": pa.timestamp("us", tz="UTC"),
    "image": pa.binary(),
}


@dataclass(frozen=True)
class Layout:
    """The table of one `record` section; rows of another section are in another table."""

    record: RecordConfig

    @property
    def name(self) -> str:
        """A digest of the section, by which its table is called."""
        return hashlib.sha256(self.record.model_dump_json().encode()).hexdigest()[:16]

    @property
    def columns(self) -> dict[str, str]:
        """Column of each field; engines tell no capitals from small letters, so such a name gets a number."""
        named: dict[str, str] = {}
        seen: dict[str, int] = {}
        for field in self.record.fields:
            low = field.name.lower()
            seen[low] = seen.get(low, 0) + 1
            named[field.name] = f"field_{field.name}" + (f"__{seen[low]}" if seen[low] > 1 else "")
        return named

    @property
    def schema(self) -> pa.Schema:
        """Of the whole table."""
        own = [pa.field(name, kind) for name, kind in OWN_COLUMNS]
        columns = self.columns
        return pa.schema([*own, *(pa.field(columns[f.name], _TYPES[f.type]) for f in self.record.fields)])

    def rows(self, rows: FeedbackRows, said_by: NDArray[np.object_], shares: NDArray[np.float64]) -> pa.Table:
        """Rows without what a batch says of them (`batch`, `kind`)."""
        digests = digests_of(rows.columns, rows.labels, rows.identities, rows.seq, rows.time).view(np.int64)
        values: dict[str, Any] = {
            "seq": rows.seq,
            "identity": rows.identities,
            "said_by": said_by,
            "label": rows.labels,
            "time": rows.time,
            "ids": rows.ids,
            "contents": rows.contents,
            "groups": rows.groups,
            "share": shares,
            "digest_1": digests[:, 0],
            "digest_2": digests[:, 1],
        }
        for field in self.record.fields:
            values[self.columns[field.name]] = to_arrow(field, rows.columns[field.name])
        return self.table(values, len(rows))

    def table(self, values: dict[str, Any], count: int) -> pa.Table:
        """Columns of `count` lines; those that are not given are null."""
        schema = self.schema
        return pa.table(
            [as_column(values[one.name], one.type) if one.name in values else pa.nulls(count, one.type)
             for one in schema],
            schema=schema,
        )  # fmt: skip

    def fields_of(self, table: pa.Table) -> Columns:
        """Fields of lines that have been read, as they went in."""
        names = self.columns
        return {f.name: from_arrow(f, table.column(names[f.name])) for f in self.record.fields}


def digests_of(
    columns: Columns,
    labels: NDArray[np.object_],
    identities: NDArray[np.object_],
    seq: NDArray[np.int64],
    time: NDArray[np.datetime64],
) -> NDArray[np.uint64]:
    """The digest of each of n rows, shape (n, 2)."""
    own: dict[str, NDArray[Any]] = {"identity": identities, "seq": seq, "time": time, "label": labels}
    return row_digests({**own, **{f"field.{name}": column for name, column in columns.items()}})


def from_arrow(field: FieldConfig, column: pa.ChunkedArray) -> NDArray[Any]:
    """A field's column as `features.records.fields` says."""
    if field.type in ("category", "text"):
        return objects(column)
    if field.type == "datetime":
        return times_of(column)
    if field.type == "image":
        assert field.shape is not None
        levels = np.empty((len(column), *field.shape), dtype=np.uint8)
        start = 0
        for chunk in column.chunks:  # one at a time, as they are copied
            raw = np.frombuffer(b"".join(chunk.to_pylist()), dtype=np.uint8)
            levels[start : start + len(chunk)] = raw.reshape(len(chunk), *field.shape)
            start += len(chunk)
        return levels
    return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)


def objects(column: pa.ChunkedArray) -> NDArray[np.object_]:
    """Texts as Python objects, one object for all that are equal."""
    coded = _coded(column)
    distinct = np.empty(len(coded.dictionary) + 1, dtype=object)  # the last one: missing
    distinct[:-1] = coded.dictionary.to_pylist()
    values: NDArray[np.object_] = distinct[coded.indices.fill_null(len(coded.dictionary)).to_numpy()]
    return values


def numbers_of(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """A number for each text, from 0 on, the same for all that are equal; none may be missing."""
    return np.asarray(_coded(column).indices.to_numpy(), dtype=np.int64)


def _coded(column: pa.ChunkedArray) -> pa.DictionaryArray:
    coded = column.combine_chunks().dictionary_encode()
    return coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded  # nothing in it


def times_of(column: pa.ChunkedArray) -> NDArray[np.datetime64]:
    """Times as rows have them, in UTC without saying so."""
    return np.asarray(column.cast(pa.timestamp("us")).to_numpy()).astype("datetime64[us]")


def to_arrow(field: FieldConfig, column: NDArray[Any]) -> pa.Array:
    """A field's column (`features.records.fields`) as the table has it; the inverse of `from_arrow`."""
    if field.type == "image":
        flat = np.ascontiguousarray(column).reshape(len(column), -1)
        return pa.array([row.tobytes() for row in flat], pa.binary())
    if field.type in ("number", "integer", "boolean"):
        numbers = pa.array(column, pa.float64(), mask=np.isnan(column))
        return numbers.cast(_TYPES[field.type])
    return pa.array(column, _TYPES[field.type])


def as_column(values: Any, kind: pa.DataType) -> pa.Array:
    """Values as a column of a table, if they are not one yet."""
    return values if isinstance(values, pa.Array) else pa.array(values, kind)
