"""Columns of files (Arrow tables) become checked columns, by the rules of their fields."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from configs.schema import FieldConfig, RecordConfig
from features.records.arrow import casts
from features.records.arrow.casts import one_array, unfold
from features.records.arrow.image_columns import pixel_columns, read_images
from features.records.fields import Field, Notes, Parsed
from features.records.image_field import Fetch, ImageField
from features.records.scalars.datetimes import time_field

Mixed = Mapping[str, Sequence[Any]]
"""Columns whose values are of several types, as JSON gave them: an Arrow array would change some."""


def read_fields(
    fields: Mapping[str, Field],
    table: pa.Table,
    mixed: Mixed,
    counts: Counter[str],
    fetch: Fetch | None = None,
) -> dict[str, Parsed]:
    """Check the columns of `table` that belong to `fields`; an absent column counts as missing values.

    Args:
        fields: by name.
        table: rows of a file.
        mixed: values of columns that the table holds as texts only.
        counts: is told how odd values were read, see `features.records.fields.Notes`.
        fetch: gives the pictures that texts of image columns name; None: they name none.
    """
    return {name: _read_field(field, table, mixed, counts, fetch) for name, field in fields.items()}


def columns_read(config: FieldConfig, present: list[str]) -> tuple[str, ...]:
    """Columns of a file that are read for the field where they are there."""
    if config.type == "image" and f"{config.source_column}_0" in present:
        return (config.source_column, *pixel_columns(config))
    return (config.source_column,)


def needed_columns(config: FieldConfig, present: list[str]) -> tuple[str, ...]:
    """Columns of a file that must be there for the field but are not in `present`."""
    if config.nullable or config.source_column in present:
        return ()
    if config.type == "image" and f"{config.source_column}_0" in present:
        return tuple(name for name in pixel_columns(config) if name not in present)
    return (config.source_column,)


def read_times(table: pa.Table, record: RecordConfig, mixed: Mixed, counts: Counter[str]) -> Parsed:
    """Times of the rows by the column for them, NaT where there is none."""
    column = record.time_column or ""
    times, bad = _read_field(time_field(record), table, mixed, counts)
    return times, {
        row: message.replace("field 'time'", f"column '{column}'", 1) for row, message in bad.items()
    }


def read_values(table: pa.Table, column: str, mixed: Mixed) -> list[Any]:
    """Values of a column of labels or ids as they are, None where there is none."""
    if column in mixed:
        return list(mixed[column])
    if column not in table.column_names:
        return [None] * table.num_rows
    return list(unfold(one_array(table[column])).to_pylist())


def _read_field(
    field: Field, table: pa.Table, mixed: Mixed, counts: Counter[str], fetch: Fetch | None = None
) -> Parsed:
    config = field.config
    if isinstance(field, ImageField) and config.source_column in mixed:
        return field.check_file(list(mixed[config.source_column]), fetch)
    if config.source_column in mixed:
        notes: Notes = {}
        parsed = field.check(list(mixed[config.source_column]), notes)
        counts.update(notes.values())
        return parsed
    if isinstance(field, ImageField):
        return read_images(field, table, fetch)
    if config.source_column not in table.column_names:
        return field.check([None] * table.num_rows)
    values = one_array(table[config.source_column])
    if config.type in ("number", "integer"):
        return casts.read_numbers(field, values, counts)
    if config.type == "datetime":
        return casts.read_times(field, values, counts)
    return casts.read_each(field, values, counts)
