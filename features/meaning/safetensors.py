"""Weights as `.safetensors` files hold them: a JSON header of names, types and places, then the numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.errors import TextModelDamaged

LENGTH_BYTES = 8
TYPES = {"F32": "<f4", "F16": "<f2", "I64": "<i8"}
"""Types that are read, as numpy names them; others are passed over."""


def read_tensors(path: Path) -> Mapping[str, NDArray[Any]]:
    """Name to array, of a file that is mapped into memory.

    Raises:
        TextModelDamaged: it is no such file, or is cut short.
    """
    try:
        whole = np.memmap(path, np.uint8, mode="r")
        length = int.from_bytes(whole[:LENGTH_BYTES].tobytes(), "little")
        header = json.loads(whole[LENGTH_BYTES : LENGTH_BYTES + length].tobytes())
        numbers = whole[LENGTH_BYTES + length :]
        return {
            name: _array(numbers, entry)
            for name, entry in header.items()
            if name != "__metadata__" and entry["dtype"] in TYPES
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TextModelDamaged(path, f"is no whole safetensors file: {error}") from error


def _array(numbers: NDArray[np.uint8], entry: Mapping[str, Any]) -> NDArray[Any]:
    begin, end = entry["data_offsets"]
    array: NDArray[Any] = numbers[begin:end].view(TYPES[entry["dtype"]]).reshape(entry["shape"])
    return array
