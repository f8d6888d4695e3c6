"""What records look like once checked, and the contract that checks them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from numpy.typing import NDArray

from configs.schema import FieldConfig, RecordConfig
from features.errors import Problem, RecordError
from features.records.error_messages import describe
from features.records.fields import Column, Field
from features.records.image_field import Fetch, ImageField
from features.records.labels import LabelContract
from features.records.scalars.datetimes import DatetimeField
from features.records.scalars.numbers import IntegerField, NumberField
from features.records.scalars.texts import CategoryField, TextField
from features.records.scalars.truths import BooleanField
from features.records.unknown_fields import UnknownFields

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["CheckedRecords", "Columns", "LabelContract", "Problem", "RecordContract", "RecordError"]

Columns = dict[str, Column]
"""Field name -> n rows: see `features.records.fields` for the types; images are uint8 (n, *shape)."""


FIELD_TYPES: dict[str, Callable[[FieldConfig, Sequence[str]], Field]] = {
    "number": NumberField,
    "integer": IntegerField,
    "boolean": BooleanField,
    "category": CategoryField,
    "text": TextField,
    "datetime": DatetimeField,
    "image": ImageField,
}


@dataclass(frozen=True)
class CheckedRecords:
    """Records after the check: `columns` hold the valid rows only, `rows` their positions in the input."""

    columns: Columns
    rows: NDArray[np.int64]
    problems: tuple[Problem, ...]

    def all_or_raise(self) -> Columns:
        """The columns, where every record was valid.

        Raises:
            RecordError: one was not.
        """
        if self.problems:
            raise RecordError(self.problems)
        return self.columns


class RecordContract:
    """Checks records of one use case, and writes and reads their canonical JSON.

    Unknown fields are ignored unless `find_unknown` is asked; every problem of every record is reported.
    """

    def __init__(self, record: RecordConfig) -> None:
        self.record = record
        self.fields: dict[str, Field] = {
            config.name: FIELD_TYPES[config.type](config, record.missing) for config in record.fields
        }
        self.names = tuple(self.fields)
        self._unknown = UnknownFields(record)

    def check_records(self, records: Sequence[Mapping[str, Any]]) -> CheckedRecords:
        """Check records as JSON gives them; each value means what it means in a file."""
        not_objects: dict[int, str] = {}
        if any(kind is not dict for kind in set(map(type, records))):
            not_objects = {
                row: f"got {describe(record)}; allowed: an object with the fields {', '.join(self.names)}"
                for row, record in enumerate(records)
                if not isinstance(record, Mapping)
            }
            records = [{} if row in not_objects else record for row, record in enumerate(records)]
        parsed = {
            name: field.check([record.get(name) for record in records]) for name, field in self.fields.items()
        }
        checked = join_columns(len(records), parsed, not_objects)
        if not checked.problems:
            return checked
        return replace(checked, problems=tuple(self._unknown.ask_for_missing(records, checked.problems)))

    def find_unknown(self, records: Sequence[Any], told: Sequence[Problem] = ()) -> list[Problem]:
        """Fields of records that the use case does not have, each with the one that was probably meant.

        Args:
            told: what is known to be wrong with the records, and names some of those fields already.
        """
        return self._unknown.find(records, told)

    def check_table(
        self,
        table: pa.Table,
        mixed: Mapping[str, Sequence[Any]] = MappingProxyType({}),
        counts: Counter[str] | None = None,
        fetch: Fetch | None = None,
    ) -> CheckedRecords:
        """Check rows of a file; each value means what it means in a request.

        Args:
            table: the rows.
            mixed: columns whose values are of several types, which no table holds, by name.
            counts: is told how many odd values were read in which way, see `features.records.fields.Notes`.
            fetch: gives the pictures that texts of image columns name; None: they name none.
        """
        from features.records.arrow.file_columns import (
            read_fields,
        )  # brings pyarrow, which servers do without

        noted: Counter[str] = Counter() if counts is None else counts
        return join_columns(table.num_rows, read_fields(self.fields, table, mixed, noted, fetch), {})

    def to_json(self, columns: Columns) -> list[str]:
        """One canonical JSON object a row, fields in the order of the configuration, missing ones null.

        Images are the base64 of their levels, row by row. Equal rows give equal text.
        """
        names = self.names
        dumped = [self.fields[name].dump(columns[name]) for name in names]
        dumps = orjson.dumps
        return [dumps(dict(zip(names, row, strict=True))).decode() for row in zip(*dumped, strict=True)]

    def from_json(self, documents: Sequence[str | bytes | dict[str, Any]]) -> Columns:
        """Inverse of `to_json`, exact; documents are trusted, not checked."""
        rows = [document if isinstance(document, dict) else orjson.loads(document) for document in documents]
        return {name: field.load([row.get(name) for row in rows]) for name, field in self.fields.items()}

    def empty(self) -> Columns:
        """Columns of no rows."""
        return self.from_json([])


def join_columns(
    n: int, parsed: Mapping[str, tuple[Column, dict[int, str]]], not_objects: dict[int, str]
) -> CheckedRecords:
    """Keep the rows without a problem in every column, and list the problems of the others by row.

    Args:
        n: number of records.
        parsed: field name to its column of n rows and its messages by row.
        not_objects: messages by row for records that are no JSON objects.
    """
    columns = {name: column for name, (column, _) in parsed.items()}
    rows = np.arange(n)
    if not not_objects and not any(bad for _, bad in parsed.values()):
        return CheckedRecords(columns, rows, ())
    problems = [Problem(row, "", message) for row, message in not_objects.items()]
    problems += [
        Problem(row, name, message)
        for name, (_, bad) in parsed.items()
        for row, message in bad.items()
        if row not in not_objects
    ]
    problems.sort(key=lambda problem: problem.row)
    valid = np.ones(n, dtype=bool)
    valid[[problem.row for problem in problems]] = False
    return CheckedRecords(
        {name: column[valid] for name, column in columns.items()}, rows[valid], tuple(problems)
    )


def concat(parts: Sequence[Columns]) -> Columns:
    """Rows of several parts, one after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def take(columns: Columns, index: Any) -> Columns:
    """The rows that a mask or an array of positions selects."""
    return {name: column[index] for name, column in columns.items()}
