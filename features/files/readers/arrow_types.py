"""Columns of Parquet as few plain types: numbers, texts, bytes, times, dates, lists, and pictures.

What is of no such type, and that no field takes, becomes empty objects, which the checks name.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MOST_NESTED = 4
"""Lists within lists; an image is two."""
EXACT_DIGITS = 15
"""Of a decimal number that a fraction of 64 bits holds exactly."""


_TEXTS = (pa.string(), pa.large_string())


def plain(values: pa.Array) -> pa.Array:
    """The same values, or objects without content where no field takes such."""
    kind = values.type
    if isinstance(kind, pa.BaseExtensionType):
        return _texts(values) if isinstance(kind, pa.UuidType) else plain(values.storage)
    if pa.types.is_dictionary(kind):
        return _of_dictionary(values)
    if pa.types.is_nested(kind):
        return values if _is_plain_list(kind) or _is_picture(kind) else _objects(values)
    return _plain_scalars(values)


def _plain_scalars(values: pa.Array) -> pa.Array:
    kind = values.type
    if pa.types.is_float16(kind):
        return pc.cast(values, pa.float32())
    if pa.types.is_decimal(kind):
        return _of_decimals(values)
    if pa.types.is_duration(kind):
        counts = pc.cast(pc.cast(values, pa.int64()), pa.string())
        return pc.binary_join_element_wise(counts, kind.unit, " ")
    if pa.types.is_time(kind):
        return pc.cast(values, pa.string())
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _moments(values)
    return _narrow(values)


def _of_decimals(values: pa.Array) -> pa.Array:
    """Fractions of 64 bits, or the digits that they have too many of, as JSON has the same numbers."""
    texts = pc.cast(values, pa.string())
    if values.type.precision <= EXACT_DIGITS:
        # By their text: Arrow's own cast is not always to the nearest, and makes 4.5600000000000005 of 4.56.
        return pc.cast(texts, pa.float64())
    for end in (r"(\.[0-9]*?)0+(E|$)", r"()\.(E|$)"):  # 1.50 is 1.5, and 2.00 is 2
        texts = pc.replace_substring_regex(texts, end, r"\1\2")
    return texts


def _moments(values: pa.Array) -> pa.Array:
    """Times in UTC, as a zone that nobody knows says nothing; texts, where some have no year."""
    kind = values.type
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        values = pc.cast(values, pa.timestamp(kind.unit, tz="UTC"))
    unit: Any = kind.unit if pa.types.is_timestamp(kind) else "D" if pa.types.is_date32(kind) else "ms"
    if unit == "ns":  # 64 bits hold the years 1677 to 2262
        return values
    low, high = (np.datetime64(day, unit).astype(np.int64) for day in ("0001-01-01", "9999-12-31"))
    counts = pc.cast(values.view(pa.int32() if unit == "D" else pa.int64()), pa.int64())
    inside = pc.and_(pc.greater_equal(counts, int(low)), pc.less_equal(counts, int(high)))
    if pc.all(inside).as_py() in (True, None):
        return values
    beyond = pc.binary_join_element_wise(pc.cast(counts, pa.string()), f"{unit} since 1970", " ")
    fine = pc.if_else(inside, values, pa.scalar(None, values.type))
    return pc.if_else(inside, pc.cast(fine, pa.string()), beyond)


def _narrow(values: pa.Array) -> pa.Array:
    kind = values.type
    if kind in (pa.large_string(), pa.string_view()):
        return pc.cast(values, pa.string())
    if kind in (pa.large_binary(), pa.binary_view()) or pa.types.is_fixed_size_binary(kind):
        return pc.cast(values, pa.binary())
    return values if _is_scalar(kind) else _objects(values)


def _of_dictionary(values: pa.DictionaryArray) -> pa.Array:
    if values.type.value_type in (pa.string(), pa.large_string()):
        words = pc.cast(values.dictionary, pa.string())
        return pa.DictionaryArray.from_arrays(pc.cast(values.indices, pa.int32()), words)
    return plain(values.dictionary_decode())


def _is_scalar(kind: pa.DataType) -> bool:
    tests = (
        pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_string,
        pa.types.is_binary, pa.types.is_date, pa.types.is_timestamp, pa.types.is_null,
    )  # fmt: skip
    return any(test(kind) for test in tests)


def _is_plain_list(kind: pa.DataType) -> bool:
    depth = 0
    while pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        kind, depth = kind.value_type, depth + 1
    plain_value = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_string(kind)
    return 0 < depth <= MOST_NESTED and bool(plain_value) and not pa.types.is_float16(kind)


def _is_picture(kind: pa.DataType) -> bool:
    """Whether it is an object of bytes and their path, as data sets of pictures have them."""
    if not pa.types.is_struct(kind) or not {"bytes"} <= {one.name for one in kind} <= {"bytes", "path"}:
        return False
    of_bytes, of_path = kind.field("bytes").type, [one.type for one in kind if one.name == "path"]
    known = of_bytes in (pa.binary(), pa.large_binary(), *_TEXTS)  # a text is base64
    return kind.num_fields <= 2 and known and of_path in ([], *([one] for one in (*_TEXTS, pa.null())))


def _objects(values: pa.Array) -> pa.Array:
    rows: list[Any] = [{} if present else None for present in values.is_valid().to_pylist()]
    return pa.array(rows, pa.struct([]))


def _texts(values: pa.Array) -> pa.Array:
    return pa.array([None if value is None else str(value) for value in values.to_pylist()], pa.string())
