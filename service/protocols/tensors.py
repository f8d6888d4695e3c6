"""Tensors of the Open Inference Protocol: read from JSON or raw bytes, checked, and written as either.

The binary form is the "binary tensor data" extension: numbers as they lie in memory, little-endian,
and texts each behind its length in four bytes.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from features.records.error_messages import describe
from service.errors import Invalid

BYTES = "BYTES"
NUMBERS = {
    "BOOL": "?",
    "UINT8": "u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8",
    "INT8": "i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8",
    "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
"""Datatype to the NumPy dtype of its raw bytes."""
_LENGTH = struct.Struct("<I")
_DEEPEST = 8


@dataclass(frozen=True)
class Tensor:
    """One input; `values` are an array of `shape` where it came as raw numbers, else a flat list."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: NDArray[Any] | list[Any]


def read_raw(name: str, datatype: str, shape: tuple[int, ...], raw: memoryview) -> Tensor:
    """A tensor from its bytes.

    Raises:
        Invalid: they are not as many as the shape says, or no UTF-8.
    """
    count = math.prod(shape)
    if datatype == BYTES:
        return Tensor(name, datatype, shape, _read_texts(name, raw, count))
    kind = np.dtype(NUMBERS[datatype])
    if len(raw) != count * kind.itemsize:
        raise Invalid(
            f"input '{name}': got {len(raw)} bytes; allowed: {count * kind.itemsize} for {datatype} of shape "
            f"{list(shape)}"
        )
    if datatype == "BOOL":  # any other byte would be a truth value of its own
        bits = np.frombuffer(raw, np.uint8)
        return Tensor(name, datatype, shape, (bits != 0).reshape(shape))
    return Tensor(name, datatype, shape, np.frombuffer(raw, kind).reshape(shape))


def read_listed(name: str, datatype: str, shape: tuple[int, ...], data: list[Any]) -> Tensor:
    """A tensor from JSON, nested or flat, row by row; as elsewhere NaN means no value.

    Raises:
        Invalid: it holds more or less than the shape says.
    """
    values = _flatten(name, data)
    if len(values) != math.prod(shape):
        raise Invalid(
            f"input '{name}': got {len(values)} values; allowed: {math.prod(shape)} for shape {list(shape)}"
        )
    return Tensor(name, datatype, shape, values)


def write_listed(name: str, datatype: str, values: NDArray[Any]) -> dict[str, Any]:
    """An output with its data in JSON, flat, row by row."""
    return _head(name, datatype, values) | {"data": values.ravel().tolist()}


def write_raw(name: str, datatype: str, values: NDArray[Any]) -> tuple[dict[str, Any], bytes]:
    """An output, whose data are not in the JSON, and these data as bytes."""
    if datatype == BYTES:
        texts = [text.encode() for text in values.ravel().tolist()]
        raw = b"".join(chain.from_iterable((_LENGTH.pack(len(text)), text) for text in texts))
    else:
        raw = np.ascontiguousarray(values, dtype=NUMBERS[datatype]).tobytes()
    return _head(name, datatype, values) | {"parameters": {"binary_data_size": len(raw)}}, raw


def join_binary(response: dict[str, Any], raw_outputs: Sequence[bytes]) -> tuple[bytes, int]:
    """The body of a response that ends with raw data, and the length in bytes of the JSON before it."""
    head = orjson.dumps(response)
    return b"".join([head, *raw_outputs]), len(head)


def _head(name: str, datatype: str, values: NDArray[Any]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": list(values.shape)}


def _read_texts(name: str, raw: memoryview, count: int) -> list[Any]:
    texts: list[str] = []
    start = 0
    try:
        while start < len(raw):
            (length,) = _LENGTH.unpack_from(raw, start)
            end = start + _LENGTH.size + length
            if end > len(raw):
                raise Invalid(
                    f"input '{name}': got a text of {length} bytes; allowed: {len(raw) - start - 4}"
                )
            texts.append(str(raw[start + _LENGTH.size : end], "utf-8"))
            start = end
    except struct.error as error:
        raise Invalid(f"input '{name}': got {len(raw) - start} bytes at the end; allowed: none") from error
    except UnicodeDecodeError as error:
        raise Invalid(f"input '{name}': text {len(texts)}: got bytes that are no UTF-8") from error
    if len(texts) != count:
        raise Invalid(f"input '{name}': got {len(texts)} texts; allowed: {count}, as the shape says")
    return texts


def _flatten(name: str, data: list[Any]) -> list[Any]:
    for _ in range(_DEEPEST):
        if list not in set(map(type, data)):
            return data
        if set(map(type, data)) != {list}:
            raise Invalid(f"input '{name}': got {describe(data)} with values at different depths")
        data = list(chain.from_iterable(data))
    raise Invalid(f"input '{name}': got data nested deeper than {_DEEPEST}")
