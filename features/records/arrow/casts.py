"""Arrow arrays, as read from files, cast to columns of a field's type, whole arrays at a time.

What is regular is cast together. What is not is read by the field itself (`ScalarField.check`), each
different value once: so an odd value means in a file what it means in a request.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.records.fields import MISSING, Column, Field, Notes, Parsed
from features.records.times import sentinel_mask

_NUMBER = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_TIME = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?$"
)
Mask = NDArray[np.bool_]


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


def read_numbers(field: Field, values: pa.Array, counts: Counter[str]) -> Parsed:
    """Numbers, or texts of numbers, as float64."""
    values = unfold(values)
    if not (is_text(values.type) or is_number(values.type)):
        return read_each(field, values, counts)
    column, odd = _cast_texts(values) if is_text(values.type) else _cast_numbers(field, values, counts)
    column = column + 0.0  # -0.0 becomes 0.0
    odd[list(field.check_column(np.where(odd, np.nan, column)))] = True
    if marked := list(getattr(field, "marked", ())):
        odd |= np.isin(column, marked)
    if not odd.any():
        return column, {}
    rows = np.flatnonzero(odd)
    column[rows], bad = read_each(field, values.take(pa.array(rows)), counts)
    return column, {int(rows[row]): reason for row, reason in bad.items()}


def _cast_texts(values: pa.Array) -> tuple[Column, Mask]:
    """Texts as numbers, and which of them are not spelled regularly."""
    try:
        column = floats(pc.cast(values, pa.float64()))
        odd = ~np.isfinite(column) & values.is_valid().to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        fine = pc.fill_null(pc.match_substring_regex(values, _NUMBER), True)
        column = floats(pc.cast(pc.if_else(fine, values, pa.scalar(None, values.type)), pa.float64()))
        odd = ~fine.to_numpy(zero_copy_only=False) | np.isinf(column)
    return column, odd


def _cast_numbers(field: Field, values: pa.Array, counts: Counter[str]) -> tuple[Column, Mask]:
    """Numbers as float64, and which of them are no number where one is required."""
    column = floats(values)
    nan = np.isnan(column) & values.is_valid().to_numpy(zero_copy_only=False)
    if not field.config.nullable:
        return column, nan
    if nan.any():
        counts[f"{MISSING}NaN"] += int(nan.sum())
    return column, np.zeros_like(nan)


def is_number(kind: pa.DataType) -> bool:
    """Whether values are numbers (booleans are not)."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def floats(array: pa.Array) -> Column:
    """Numbers as float64 of our own, null as NaN."""
    if pa.types.is_decimal(array.type):  # Arrow's own cast is not always to the nearest
        return np.array(
            [np.nan if value is None else float(value) for value in array.to_pylist()], np.float64
        )
    return np.array(array.to_numpy(zero_copy_only=False), dtype=np.float64)


def read_times(field: Field, values: pa.Array, counts: Counter[str]) -> Parsed:
    """Times, dates, or texts of them, as datetime64[us] in UTC."""
    values = unfold(values)
    if is_text(values.type):
        column = _cast_times(values)
        arrived: Any = values
    elif pa.types.is_date(values.type) or pa.types.is_timestamp(values.type):
        column = _microseconds(values)
        arrived = None
    else:
        column = None
    if column is None:
        return read_each(field, values, counts)
    odd = sentinel_mask(column)
    if not field.config.nullable:
        odd |= np.isnat(column)
    if not odd.any():
        return column, {}
    rows = np.flatnonzero(odd)
    if arrived is None:  # Python's own times end before some of Arrow's do
        arrived = pa.array([None if np.isnat(time) else str(time) for time in column[rows]], pa.string())
    else:
        arrived = values.take(pa.array(rows))
    column[rows], bad = read_each(field, arrived, counts)
    return column, {int(rows[row]): reason for row, reason in bad.items()}


def _cast_times(values: pa.Array) -> Column | None:
    """Texts as times; None unless all of them are spelled regularly, and with zones or without."""
    if not pc.all(pc.match_substring_regex(values, _TIME), min_count=0).as_py():
        return None
    for kind in (pa.timestamp("us", tz="UTC"), pa.timestamp("us")):
        try:
            return _microseconds(pc.cast(values, kind))
        except pa.ArrowInvalid:
            continue
    return None


def _microseconds(values: pa.Array) -> Column:
    """Times in UTC without a zone; parts of a microsecond are left out."""
    if pa.types.is_date(values.type):
        values = pc.cast(values, pa.timestamp("s"))
    plain = values.cast(pa.timestamp(values.type.unit))
    return np.array(plain.to_numpy(zero_copy_only=False)).astype("datetime64[us]")


def read_each(field: Field, values: pa.Array, counts: Counter[str]) -> Parsed:
    """A column of whatever type, each different value read once by the field; equal texts are shared."""
    words, codes = _encode(unfold(values))
    notes: Notes = {}
    read, wrong = field.check(words, notes)
    column = read[codes]
    if notes:
        rows_of = np.bincount(codes, minlength=len(words)).tolist()
        for place, note in notes.items():
            counts[note] += rows_of[place]
    rows = np.flatnonzero(np.isin(codes, list(wrong))) if wrong else ()
    return column, {int(row): wrong[int(codes[row])] for row in rows}


def _encode(values: pa.Array) -> tuple[list[Any], NDArray[np.int64]]:
    """The different values, and which of them stands in each row."""
    kind = values.type
    if pa.types.is_float16(kind) or pa.types.is_float32(kind):  # their shortest text is not that of 64 bits
        present = values.is_valid().to_numpy(zero_copy_only=False).tolist()
        numbers = values.to_numpy(zero_copy_only=False)
        return [number if there else None for number, there in zip(numbers, present, strict=True)], _all(
            values
        )
    if pa.types.is_nested(kind) or pa.types.is_null(kind):
        return values.to_pylist(), _all(values)
    coded = values.dictionary_encode()
    words = coded.dictionary.to_pylist()
    codes = coded.indices.fill_null(len(words)).to_numpy(zero_copy_only=False).astype(np.int64)
    return ([*words, None] if coded.null_count else words), codes


def _all(values: pa.Array) -> NDArray[np.int64]:
    return np.arange(len(values), dtype=np.int64)
