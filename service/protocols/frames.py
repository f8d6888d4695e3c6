"""Requests to MLflow's scoring server as records.

The columns are those of the use case's files, as for the registered model itself; the name of a
field does as well. Unknown columns are ignored, and absent ones are missing values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from configs.schema import FieldConfig, RecordConfig
from features.records.error_messages import describe
from service.answers.bodies import listed, parse_object
from service.errors import Invalid
from service.protocols.csv_bodies import csv_lines

CSV = "text/csv"
FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")
ALLOWED = "application/json or text/csv"

Records = list[dict[str, Any]]


def is_csv(announced: str | None) -> bool:
    """Whether a body is announced as CSV."""
    return announced is not None and announced.partition(";")[0].strip().lower() == CSV


class FrameReader:
    """Reads the frames of one use case into records, which are not checked yet."""

    def __init__(self, record: RecordConfig, max_records: int) -> None:
        self._fields = record.fields
        self._group_key = record.group_key
        self._max_records = max_records
        self._columns: dict[str, FieldConfig] = {field.name: field for field in record.fields}
        self._columns |= {field.source_column: field for field in record.fields}
        self._formats: dict[str, Callable[[Any], Records]] = {
            "dataframe_split": self._split,
            "dataframe_records": self._records,
            "instances": self._instances,
            "inputs": self._inputs,
        }

    def read_csv(self, body: bytes) -> Records:
        """Records of a CSV with a header line.

        Raises:
            NotCsv: it cannot be read.
            Invalid: it has no rows, too many, or one of another length than the header.
        """
        header, *rows = csv_lines(body, self._columns)
        return self._rows("the body", header, rows)

    def read_json(self, body: bytes) -> Records:
        """Records of one of MLflow's formats.

        Raises:
            NotJson: the body is no JSON.
            Invalid: it holds none of the formats, or several, or what it holds is no frame.
        """
        content = parse_object(body)
        formats = [name for name in FORMATS if name in content]
        if len(formats) != 1:
            keys = ", ".join(repr(key[:40]) for key in list(formats or content)[:5])
            arrived = f"the keys {keys}" if keys else "no keys"
            raise Invalid(f"the body: got {arrived}; allowed: exactly one of {', '.join(FORMATS)}")
        return self._formats[formats[0]](content[formats[0]])

    def _split(self, frame: Any) -> Records:
        if not isinstance(frame, dict):
            raise _refused("dataframe_split", frame, "an object with `columns` and `data`")
        data = frame.get("data")
        columns = frame.get("columns", [field.source_column for field in self._fields])
        if not isinstance(columns, list):
            raise _refused("dataframe_split.columns", columns, "a list of column names")
        if not isinstance(data, list):
            raise _refused("dataframe_split.data", data, "a list of rows")
        return self._rows("dataframe_split.data", columns, data)

    def _records(self, frame: Any) -> Records:
        return [self._record(row) for row in self._bounded("dataframe_records", frame)]

    def _instances(self, frame: Any) -> Records:
        return [self._record(self._named(instance)) for instance in self._bounded("instances", frame)]

    def _inputs(self, frame: Any) -> Records:
        if not isinstance(frame, dict):
            return [self._record(self._named(instance)) for instance in self._bounded("inputs", frame)]
        columns = {
            name: values if isinstance(values, list) else [values]
            for name, values in frame.items()
            if self._reads(name)
        }
        lengths = {name: len(values) for name, values in columns.items()}
        if len(set(lengths.values())) > 1:
            sizes = ", ".join(f"'{name}' {length}" for name, length in list(lengths.items())[:20])
            raise Invalid(f"field 'inputs': got columns of different lengths ({sizes}); allowed: one length")
        if not columns:
            raise _refused("inputs", frame, f"columns {', '.join(self._columns)}")
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        return [self._record(row) for row in self._bounded("inputs", rows)]

    def _rows(self, place: str, columns: Sequence[Any], rows: Sequence[Any]) -> Records:
        names = list(map(str, columns))
        read = [name for name in names if self._reads(name)]
        if len(set(read)) < len(read):
            twice = next(name for at, name in enumerate(read) if name in read[:at])
            raise Invalid(f"{place}: got the column '{twice}' twice; allowed: once")
        records = []
        for number, row in enumerate(self._bounded(place, rows)):
            if not isinstance(row, list) or len(row) != len(columns):
                arrived = f"{len(row)} values" if isinstance(row, list) else describe(row)
                raise Invalid(f"{place}: row {number}: got {arrived}; allowed: {len(columns)}, one a column")
            records.append(self._record(dict(zip(names, row, strict=True))))
        if columns and not self._columns.keys() & set(names):
            shown = ", ".join(repr(name[:40]) for name in names[:5])
            allowed = ", ".join(field.source_column for field in self._fields[:20])
            raise Invalid(
                f"{place}: got the columns {shown}, none of which is one of the use case; allowed: {allowed}"
            )
        return records

    def _reads(self, column: str) -> bool:
        return column in self._columns or column == self._group_key

    def _bounded(self, place: str, rows: Any) -> list[Any]:
        return listed({place: rows}, place, self._max_records)

    def _named(self, instance: Any) -> Any:
        """An instance as column name to value; without names, one value or one for each field."""
        if isinstance(instance, dict):
            return instance
        names = [field.source_column for field in self._fields]
        only_field = self._fields[0]
        if len(names) == 1 and (only_field.type == "image" or not isinstance(instance, list)):
            return {names[0]: instance}
        if not isinstance(instance, list) or len(instance) != len(names):
            return instance  # the contract refuses it
        return dict(zip(names, instance, strict=True))

    def _record(self, row: Any) -> Any:
        """A row as field name to value; of two columns of one field, the one named as in files counts."""
        if not isinstance(row, dict):
            return row
        record: dict[str, Any] = {}
        for column, value in row.items():
            field = self._columns.get(column)
            if field is not None and (column == field.source_column or field.name not in record):
                record[field.name] = value
            elif field is None and column == self._group_key:
                record[column] = value
        return record


def _refused(place: str, arrived: Any, allowed: str) -> Invalid:
    return Invalid(f"field '{place}': got {describe(arrived)}; allowed: {allowed}")
