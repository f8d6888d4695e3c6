"""Columns of files (Arrow tables) become checked columns: text may be parsed, and markers mean no value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from configs.schema import FieldConfig
from features.records import arrow_casts
from features.records.arrow_casts import is_text, one_array
from features.records.fields import DatetimeField, Field, Parsed
from features.records.image_columns import pixel_columns, read_images
from features.records.image_field import ImageField


def read_fields(fields: Mapping[str, Field], table: pa.Table, markers: tuple[str, ...]) -> dict[str, Parsed]:
    """Check the columns of `table` that belong to `fields`; an absent column counts as missing values."""
    return {name: _read_field(field, table, markers) for name, field in fields.items()}


def needed_columns(config: FieldConfig, present: list[str]) -> tuple[str, ...]:
    """Columns of a file that must be there for the field but are not in `present`."""
    if config.nullable or config.source_column in present:
        return ()
    if config.type == "image" and f"{config.source_column}_0" in present:
        return tuple(name for name in pixel_columns(config) if name not in present)
    return (config.source_column,)


def read_times(table: pa.Table, column: str, markers: tuple[str, ...]) -> Parsed:
    """Times of the rows, NaT where there is none."""
    config = FieldConfig(name="time", column=column, type="datetime", nullable=True)
    times, bad = _read_field(DatetimeField(config), table, markers)
    return times, {
        row: message.replace("field 'time'", f"column '{column}'", 1) for row, message in bad.items()
    }


def read_values(table: pa.Table, column: str, markers: tuple[str, ...]) -> list[Any]:
    """Values of a column of labels or ids as they are, None where there is none."""
    if column not in table.column_names:
        return [None] * table.num_rows
    values = one_array(table[column])
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    return list(_without_markers(values, markers).to_pylist())


def _read_field(field: Field, table: pa.Table, markers: tuple[str, ...]) -> Parsed:
    config = field.config
    if isinstance(field, ImageField):
        return read_images(field, table)
    if config.source_column not in table.column_names:
        return field.check([None] * table.num_rows)
    values = one_array(table[config.source_column])
    if config.type != "text":
        values = _without_markers(values, markers)
    if config.type in ("number", "integer"):
        column, bad = arrow_casts.read_numbers(field, values)
    elif config.type == "boolean":
        column, bad = arrow_casts.read_booleans(field, values)
    elif config.type == "datetime":
        column, bad = arrow_casts.read_times(field, values)
    else:
        return arrow_casts.read_texts(field, values)
    problems = field.check_column(column)
    problems.update(bad)
    return column, problems


def _without_markers(values: pa.Array, markers: tuple[str, ...]) -> pa.Array:
    if pa.types.is_dictionary(values.type):
        dictionary = _without_markers(values.dictionary, markers)
        return pa.DictionaryArray.from_arrays(values.indices, dictionary)
    if not is_text(values.type) or not markers:
        return values
    absent = pc.is_in(values, value_set=pa.array(markers, values.type))
    return pc.if_else(absent, pa.scalar(None, values.type), values) if pc.any(absent).as_py() else values
