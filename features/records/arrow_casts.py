"""Arrow arrays, as read from files, cast to columns of a field's type, whole arrays at a time.

Values are cast together; only where that fails are the odd ones looked for, by a regular
expression over the whole array, never value by value.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.records.error_messages import describe, invalid_message
from features.records.fields import Column, Field, Parsed, parse_time

_NUMBER = r"^[ \t]*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?[ \t]*$"
_TRUE, _FALSE = ("true", "1", "yes", "1.0"), ("false", "0", "no", "0.0")


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """One array; dictionaries of anything but text are unfolded, large text becomes ordinary."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):  # zero chunks, or too much text for one array
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    if pa.types.is_dictionary(array.type) and not is_text(array.type.value_type):
        array = array.cast(array.type.value_type)
    return array.cast(pa.string()) if array.type in (pa.large_string(), pa.string_view()) else array


def is_text(kind: pa.DataType) -> bool:
    """Whether values are texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def unfold(values: pa.Array) -> pa.Array:
    """The values themselves, where they are coded by a dictionary."""
    return values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values


def read_numbers(field: Field, values: pa.Array) -> Parsed:
    """Numbers, or texts of numbers, as float64; bounds are not checked here."""
    values = unfold(values)
    if pa.types.is_boolean(values.type) or not (
        is_text(values.type) or pa.types.is_null(values.type) or is_number(values.type)
    ):
        return all_refused(field, values)
    try:
        column = floats(pc.cast(values, pa.float64(), safe=False))
        bad: dict[int, str] = {}
    except pa.ArrowInvalid:
        column, bad = _numbers_among_texts(field, values)
    if is_text(values.type):  # "nan" and "inf" parse, but are no numbers here
        odd = ~np.isfinite(column) & values.is_valid().to_numpy(zero_copy_only=False)
        bad.update(_refusals(field, values, np.flatnonzero(odd)))
    return column + 0.0, bad


def _numbers_among_texts(field: Field, values: pa.Array) -> Parsed:
    fine = pc.fill_null(pc.match_substring_regex(values, _NUMBER), True)
    trimmed = pc.utf8_ltrim(pc.utf8_trim_whitespace(values), "+")
    column = floats(pc.cast(pc.if_else(fine, trimmed, pa.scalar(None, values.type)), pa.float64()))
    return column, _refusals(field, values, np.flatnonzero(~fine.to_numpy(zero_copy_only=False)))


def is_number(kind: pa.DataType) -> bool:
    """Whether values are numbers (booleans are not)."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def floats(array: pa.Array) -> Column:
    """Numbers as float64 of our own, null as NaN."""
    return np.array(array.to_numpy(zero_copy_only=False), dtype=np.float64)


def read_booleans(field: Field, values: pa.Array) -> Parsed:
    """Booleans, numbers 0 and 1, or their usual spellings, as 0.0 and 1.0."""
    values = unfold(values)
    if pa.types.is_null(values.type) or pa.types.is_boolean(values.type) or is_number(values.type):
        return floats(pc.cast(values, pa.float64(), safe=False)), {}
    if not is_text(values.type):
        return all_refused(field, values)
    texts = pc.utf8_lower(pc.utf8_trim_whitespace(values))
    true = pc.is_in(texts, value_set=pa.array(_TRUE, texts.type)).to_numpy(zero_copy_only=False)
    false = pc.is_in(texts, value_set=pa.array(_FALSE, texts.type)).to_numpy(zero_copy_only=False)
    column = np.where(true, 1.0, np.where(false, 0.0, np.nan))
    odd = ~true & ~false & values.is_valid().to_numpy(zero_copy_only=False)
    return column, _refusals(field, values, np.flatnonzero(odd))


def read_times(field: Field, values: pa.Array) -> Parsed:
    """Times, dates, or texts of them in ISO 8601, as datetime64[us] in UTC."""
    values = unfold(values)
    if is_text(values.type):
        return _times_of_texts(field, values)
    if pa.types.is_null(values.type) or pa.types.is_date(values.type) or pa.types.is_timestamp(values.type):
        return _microseconds(values), {}
    return all_refused(field, values)


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
            bad[row] = invalid_message(field.config.name, describe(text), field.allowed)
    return np.array(moments, dtype="datetime64[us]"), bad


def _microseconds(values: pa.Array) -> Column:
    zone = values.type.tz if pa.types.is_timestamp(values.type) else None
    plain = pc.cast(values, pa.timestamp("us", tz=zone), safe=False)
    if zone is not None:
        plain = pc.cast(plain, pa.timestamp("us"))
    return np.array(plain.to_numpy(zero_copy_only=False), dtype="datetime64[us]")


def read_texts(field: Field, values: pa.Array) -> Parsed:
    """Text as it is; whole numbers, booleans and numbers as their text. Repeated values are shared."""
    if pa.types.is_dictionary(values.type):
        values = pc.cast(values, values.type.value_type)
    if not is_text(values.type):
        if pa.types.is_nested(values.type) or pa.types.is_binary(values.type):
            return all_refused(field, values)
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
        whole = pc.and_(
            pc.equal(pc.floor(values), values), pc.less(pc.abs(values), pa.scalar(2.0**53, values.type))
        )
        if pc.all(whole).as_py():
            values = pc.cast(values, pa.int64())
    return pc.cast(values, pa.string())


def _refusals(field: Field, values: pa.Array, rows: Any) -> dict[int, str]:
    arrived = values.take(pa.array(rows)).to_pylist()
    return {
        int(row): invalid_message(field.config.name, describe(value), field.allowed)
        for row, value in zip(rows, arrived, strict=True)
    }


def all_refused(field: Field, values: pa.Array) -> Parsed:
    """A column of a type that cannot be read as the field's: every value is named."""
    column, bad = field.check([None] * len(values))
    present = np.flatnonzero(values.is_valid().to_numpy(zero_copy_only=False))
    bad.update(_refusals(field, values, present))
    return column, bad
