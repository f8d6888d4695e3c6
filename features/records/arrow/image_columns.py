"""Image columns of files: pixel columns, lists of numbers, picture files and their names, text of each."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.schema import FieldConfig
from features.records.arrow.casts import floats, is_number, one_array, read_numbers, unfold
from features.records.fields import Column, Parsed
from features.records.image_field import Fetch, ImageField
from features.records.scalars.numbers import NumberField


def pixel_columns(config: FieldConfig) -> list[str]:
    """Names of the columns when each pixel has its own, row by row of the image."""
    return [f"{config.source_column}_{index}" for index in range(math.prod(config.shape or (0,)))]


def read_images(field: ImageField, table: pa.Table, fetch: Fetch | None = None) -> Parsed:
    """Images of all rows, uint8 (n, *shape), from one column or from a column a pixel.

    Args:
        field: whose images they are.
        table: rows of a file.
        fetch: gives the pictures that texts name; None: texts name none.
    """
    column = field.config.source_column
    if column in table.column_names:
        values = unfold(one_array(table[column]))
        return (
            _read_lists(field, values)
            if _is_list(values.type)
            else field.check_file(values.to_pylist(), fetch)
        )
    if f"{column}_0" in table.column_names:
        return _read_pixel_columns(field, table)
    return field.check_file([None] * table.num_rows)


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _read_lists(field: ImageField, values: pa.Array) -> Parsed:
    """Flat or nested lists of numbers; rows of another form are checked one by one."""
    flat = values
    sizes = []
    while _is_list(flat.type):
        lengths = pc.unique(pc.list_value_length(flat)).to_pylist()
        sizes.append(lengths[0] if len(lengths) == 1 else None)
        flat = pc.list_flatten(flat)
    regular = sizes in ([field.size], list(field.shape)) and flat.null_count == 0
    if not regular or not is_number(flat.type):
        return field.check_file(values.to_pylist())
    return _to_levels(field, floats(pc.cast(flat, pa.float64(), safe=False)), {})


def _read_pixel_columns(field: ImageField, table: pa.Table) -> Parsed:
    pixels = np.empty((table.num_rows, field.size), dtype=np.float64)
    bad: dict[int, str] = {}
    low, high = field.config.range
    number = NumberField(FieldConfig(name=field.name, type="number", minimum=low, maximum=high))
    for index, name in enumerate(pixel_columns(field.config)):
        if name not in table.column_names:
            return field.check_file([None] * table.num_rows)
        column, wrong = read_numbers(number, one_array(table[name]), Counter())
        pixels[:, index] = np.where(np.isfinite(column), column, low)
        prefix, replacement = f"field '{field.name}':", f"field '{field.name}': column '{name}':"
        for row, message in wrong.items():
            bad.setdefault(row, message.replace(prefix, replacement, 1))
    return _to_levels(field, pixels.reshape(-1), bad)


def _to_levels(field: ImageField, flat: Column, bad: dict[int, str]) -> Parsed:
    pixels = flat.reshape(-1, *field.shape)
    problems = {**field.check_column(pixels), **bad}
    if problems:
        pixels = np.clip(np.nan_to_num(pixels), *field.config.range)
    return field.quantise(pixels), problems
