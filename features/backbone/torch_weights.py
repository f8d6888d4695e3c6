"""Weights as `.pth` files of PyTorch's first format hold them, read without PyTorch.

Such a file is a pickle, which can name any code: here nothing can be named but what tensors are made of. The
file is compared with what its authors published before it is opened all the same.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from features.errors import PictureModelDamaged

TYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}
"""Types of numbers that are read, as numpy names them."""
LEADING = 3
"""Pickles before that of the weights: a magic number, the version, the machine."""


def read_tensors(path: Path) -> Mapping[str, NDArray[Any]]:
    """Name to array.

    Raises:
        PictureModelDamaged: it is no such file, is cut short, or names anything but tensors.
    """
    try:
        with path.open("rb") as file:
            return _read(file)
    except (OSError, ValueError, KeyError, TypeError, IndexError, EOFError, pickle.UnpicklingError) as error:
        raise PictureModelDamaged(path, f"is no whole file of weights: {error}") from error


def _read(file: BinaryIO) -> dict[str, NDArray[Any]]:
    for _ in range(LEADING):
        _Tensors(file).load()
    described, stores = _Tensors(file).load(), _Tensors(file).load()
    types = {store[2]: TYPES[store[1]] for store, *_ in described.values()}
    numbers = {key: _store(file, np.dtype(types[key])) for key in stores}
    return {
        name: _array(numbers[store[2]], start, size, steps)
        for name, (store, start, size, steps) in described.items()
    }


def _store(file: BinaryIO, kind: np.dtype[Any]) -> NDArray[Any]:
    count = int.from_bytes(file.read(8), "little")
    return np.frombuffer(file.read(count * kind.itemsize), kind, count)


def _array(numbers: NDArray[Any], start: int, size: tuple[int, ...], steps: tuple[int, ...]) -> NDArray[Any]:
    last = start + sum((length - 1) * step for length, step in zip(size, steps, strict=True))
    if min((start, *steps, *size)) < 0 or last >= len(numbers):
        raise ValueError("a tensor reaches beyond its numbers")
    strides = [step * numbers.itemsize for step in steps]
    return np.array(as_strided(numbers[start:], size, strides))


class _Tensors(pickle.Unpickler):
    """Knows ordered mappings and tensors by what they are made of, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in TYPES:
            return name
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a tensor")

    def persistent_load(self, pid: Any) -> Any:
        """Where the numbers of a tensor are: ('storage', type, key, device, count, view)."""
        return pid


def _tensor(store: Any, start: int, size: tuple[int, ...], steps: tuple[int, ...], *_: Any) -> Any:
    return store, start, size, steps
