"""Columns of files (Arrow tables) become checked columns, whole columns at a time.

Text that parses is fine. Values are cast together; only where that fails are the odd ones
looked for, by a regular expression over the whole column, never value by value.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from configs.schema import FieldConfig
from features.fields import Column, DatetimeField, Field, NumberField, Parsed, describe, got, parse_time
from features.images import ImageField

_NUMBER = r"^[ \t]*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?[ \t]*$"
_TRUE, _FALSE = ("true", "1", "yes", "1.0"), ("false", "0", "no", "0.0")


def read_fields(fields: Mapping[str, Field], table: pa.Table, markers: tuple[str, ...]) -> dict[str, Parsed]:
    """Check the columns of `table` that belong to `fields`; an absent column counts as missing values."""
    return {name: _read(field, table, markers) for name, field in fields.items()}


def needed_columns(config: FieldConfig, present: list[str]) -> tuple[str, ...]:
    """Columns of a file that must be there for the field but are not in `present`."""
    if config.nullable or config.source_column in present:
        return ()
    if config.type == "image" and f"{config.source_column}_0" in present:
        return tuple(name for name in _pixel_columns(config) if name not in present)
    return (config.source_column,)


def read_times(table: pa.Table, column: str, markers: tuple[str, ...]) -> Parsed:
    """Times of the rows, NaT where there is none."""
    config = FieldConfig(name="time", column=column, type="datetime", nullable=True)
    times, bad = _read(DatetimeField(config), table, markers)
    return times, {
        row: message.replace("field 'time'", f"column '{column}'", 1) for row, message in bad.items()
    }


def read_texts(table: pa.Table, column: str, markers: tuple[str, ...]) -> list[Any]:
    """Values of a column of labels or ids as they are, None where there is none."""
    if column not in table.column_names:
        return [None] * table.num_rows
    values = _plain(table[column])
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    return list(_without_markers(values, markers).to_pylist())


def _read(field: Field, table: pa.Table, markers: tuple[str, ...]) -> Parsed:
    config = field.config
    if isinstance(field, ImageField):
        return _read_image(field, table)
    if config.source_column not in table.column_names:
        return field.check([None] * table.num_rows)
    values = _plain(table[config.source_column])
    if config.type != "text":
        values = _without_markers(values, markers)
    if config.type in ("number", "integer"):
        column, bad = _numbers(field, values)
    elif config.type == "boolean":
        column, bad = _booleans(field, values)
    elif config.type == "datetime":
        column, bad = _times(field, values)
    else:
        return _texts(field, values)
    problems = field.restrict(column)
    problems.update(bad)
    return column, problems


def _plain(column: pa.ChunkedArray) -> pa.Array:
    """One array; dictionaries of anything but text are unfolded, large text becomes ordinary."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):  # zero chunks, or too much text for one array
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    if pa.types.is_dictionary(array.type) and not _is_text(array.type.value_type):
        array = array.cast(array.type.value_type)
    return array.cast(pa.string()) if array.type in (pa.large_string(), pa.string_view()) else array


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _without_markers(values: pa.Array, markers: tuple[str, ...]) -> pa.Array:
    if pa.types.is_dictionary(values.type):
        words = _without_markers(values.dictionary, markers)
        return pa.DictionaryArray.from_arrays(values.indices, words)
    if not _is_text(values.type) or not markers:
        return values
    absent = pc.is_in(values, value_set=pa.array(markers, values.type))
    return pc.if_else(absent, pa.scalar(None, values.type), values) if pc.any(absent).as_py() else values


def _unfold(values: pa.Array) -> pa.Array:
    return values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values


def _numbers(field: Field, values: pa.Array) -> Parsed:
    values = _unfold(values)
    if pa.types.is_boolean(values.type) or not (
        _is_text(values.type) or pa.types.is_null(values.type) or _is_number(values.type)
    ):
        return _all_refused(field, values)
    try:
        column = _floats(pc.cast(values, pa.float64(), safe=False))
        bad: dict[int, str] = {}
    except pa.ArrowInvalid:
        column, bad = _numbers_among_texts(field, values)
    if _is_text(values.type):  # "nan" and "inf" parse, but are no numbers here
        odd = ~np.isfinite(column) & values.is_valid().to_numpy(zero_copy_only=False)
        bad.update(_refusals(field, values, np.flatnonzero(odd)))
    return column + 0.0, bad


def _numbers_among_texts(field: Field, values: pa.Array) -> Parsed:
    fine = pc.fill_null(pc.match_substring_regex(values, _NUMBER), True)
    trimmed = pc.utf8_ltrim(pc.utf8_trim_whitespace(values), "+")
    column = _floats(pc.cast(pc.if_else(fine, trimmed, pa.scalar(None, values.type)), pa.float64()))
    return column, _refusals(field, values, np.flatnonzero(~fine.to_numpy(zero_copy_only=False)))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _floats(array: pa.Array) -> Column:
    return np.array(array.to_numpy(zero_copy_only=False), dtype=np.float64)


def _booleans(field: Field, values: pa.Array) -> Parsed:
    values = _unfold(values)
    if pa.types.is_null(values.type) or pa.types.is_boolean(values.type) or _is_number(values.type):
        return _floats(pc.cast(values, pa.float64(), safe=False)), {}
    if not _is_text(values.type):
        return _all_refused(field, values)
    words = pc.utf8_lower(pc.utf8_trim_whitespace(values))
    true = pc.is_in(words, value_set=pa.array(_TRUE, words.type)).to_numpy(zero_copy_only=False)
    false = pc.is_in(words, value_set=pa.array(_FALSE, words.type)).to_numpy(zero_copy_only=False)
    column = np.where(true, 1.0, np.where(false, 0.0, np.nan))
    odd = ~true & ~false & values.is_valid().to_numpy(zero_copy_only=False)
    return column, _refusals(field, values, np.flatnonzero(odd))


def _times(field: Field, values: pa.Array) -> Parsed:
    values = _unfold(values)
    if _is_text(values.type):
        return _times_of_texts(field, values)
    if pa.types.is_null(values.type) or pa.types.is_date(values.type) or pa.types.is_timestamp(values.type):
        return _microseconds(values), {}
    return _all_refused(field, values)


def _times_of_texts(field: Field, values: pa.Array) -> Parsed:
    for kind in (pa.timestamp("us", tz="UTC"), pa.timestamp("us")):
        try:
            return _microseconds(pc.cast(values, kind)), {}
        except pa.ArrowInvalid:
            continue
    moments: list[datetime | None] = []
    bad: dict[int, str] = {}
    for row, text in enumerate(values.to_pylist()):
        try:
            moments.append(None if text is None else parse_time(text.strip()))
        except (ValueError, OverflowError):
            moments.append(None)
            bad[row] = got(field.config.name, describe(text), field.allowed)
    return np.array(moments, dtype="datetime64[us]"), bad


def _microseconds(values: pa.Array) -> Column:
    zone = values.type.tz if pa.types.is_timestamp(values.type) else None
    plain = pc.cast(values, pa.timestamp("us", tz=zone), safe=False)
    if zone is not None:
        plain = pc.cast(plain, pa.timestamp("us"))
    return np.array(plain.to_numpy(zero_copy_only=False), dtype="datetime64[us]")


def _texts(field: Field, values: pa.Array) -> Parsed:
    """Text as it is; whole numbers, booleans and numbers as their text. Repeated values are shared."""
    if pa.types.is_dictionary(values.type):
        values = pc.cast(values, values.type.value_type)
    if not _is_text(values.type):
        if pa.types.is_nested(values.type) or pa.types.is_binary(values.type):
            return _all_refused(field, values)
        values = _as_text(values)
    coded = values.dictionary_encode()
    words = np.array([*coded.dictionary.to_pylist(), None], dtype=object)
    codes = coded.indices.fill_null(len(words) - 1).to_numpy(zero_copy_only=False)
    column = words[codes]
    wrong = field.check(words[:-1].tolist())[1]
    bad: dict[int, str] = {}
    if wrong:
        bad = {int(row): wrong[int(codes[row])] for row in np.flatnonzero(np.isin(codes, list(wrong)))}
    if not field.config.nullable and values.null_count:
        absent = field.check([None])[1][0]
        bad.update(
            {int(row): absent for row in np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))}
        )
    return column, bad


def _as_text(values: pa.Array) -> pa.Array:
    if pa.types.is_floating(values.type):  # pandas makes floats of whole numbers that may be missing
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
        if pc.all(pc.equal(pc.floor(values), values)).as_py():
            values = pc.cast(values, pa.int64())
    return pc.cast(values, pa.string())


def _refusals(field: Field, values: pa.Array, rows: Any) -> dict[int, str]:
    arrived = values.take(pa.array(rows)).to_pylist()
    return {
        int(row): got(field.config.name, describe(value), field.allowed)
        for row, value in zip(rows, arrived, strict=True)
    }


def _all_refused(field: Field, values: pa.Array) -> Parsed:
    """A column of a type that cannot be read as the field's: every value is named."""
    column, bad = field.check([None] * len(values))
    present = np.flatnonzero(values.is_valid().to_numpy(zero_copy_only=False))
    bad.update(_refusals(field, values, present))
    return column, bad


def _pixel_columns(config: FieldConfig) -> list[str]:
    height, width = config.shape or (0, 0)
    return [f"{config.source_column}_{index}" for index in range(height * width)]


def _read_image(field: ImageField, table: pa.Table) -> Parsed:
    column = field.config.source_column
    if column in table.column_names:
        values = _unfold(_plain(table[column]))
        if _is_text(values.type) or pa.types.is_null(values.type):
            return field.check([_unwrap(text) for text in values.to_pylist()])
        if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
            return _pngs(field, values.to_pylist())
        return _lists(field, values)
    if f"{column}_0" in table.column_names:
        return _pixels(field, table)
    return field.check([None] * table.num_rows)


def _unwrap(text: str | None) -> Any:
    """Text of an array is the array; other text is left (it may be a PNG)."""
    if text is None or not text.lstrip().startswith("["):
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _pngs(field: ImageField, values: list[bytes | None]) -> Parsed:
    images = np.zeros((len(values), field.height, field.width), dtype=np.uint8)
    bad = field.check([None])[1]
    bad = {row: bad[0] for row, value in enumerate(values) if value is None}
    for row, value in enumerate(values):
        if value is not None:
            try:
                images[row] = field.from_png(value)
            except ValueError as error:
                bad[row] = str(error)
    return images, bad


def _lists(field: ImageField, values: pa.Array) -> Parsed:
    """Flat or nested lists of numbers; rows of another form are checked one by one."""
    flat = values
    sizes = []
    while (
        pa.types.is_list(flat.type)
        or pa.types.is_large_list(flat.type)
        or pa.types.is_fixed_size_list(flat.type)
    ):
        lengths = pc.unique(pc.list_value_length(flat)).to_pylist()
        sizes.append(lengths[0] if len(lengths) == 1 else None)
        flat = pc.list_flatten(flat)
    regular = sizes in ([field.size], [field.height, field.width]) and flat.null_count == 0
    if not regular or not _is_number(flat.type):
        return field.check(values.to_pylist())
    return _quantised(field, _floats(pc.cast(flat, pa.float64(), safe=False)), {})


def _pixels(field: ImageField, table: pa.Table) -> Parsed:
    pixels = np.empty((table.num_rows, field.size), dtype=np.float64)
    bad: dict[int, str] = {}
    low, high = field.config.range
    number = NumberField(FieldConfig(name=field.name, type="number", minimum=low, maximum=high))
    for index, name in enumerate(_pixel_columns(field.config)):
        if name not in table.column_names:
            return field.check([None] * table.num_rows)
        column, unread = _numbers(number, _plain(table[name]))
        wrong = {**number.restrict(column), **unread}
        pixels[:, index] = np.where(np.isfinite(column), column, low)
        prefix, replacement = f"field '{field.name}':", f"field '{field.name}': column '{name}':"
        for row, message in wrong.items():
            bad.setdefault(row, message.replace(prefix, replacement, 1))
    return _quantised(field, pixels.reshape(-1), bad)


def _quantised(field: ImageField, flat: Column, bad: dict[int, str]) -> Parsed:
    pixels = flat.reshape(-1, field.height, field.width)
    problems = {**field.restrict(pixels), **bad}
    if problems:
        pixels = np.clip(np.nan_to_num(pixels), *field.config.range)
    return field.quantise(pixels), problems
