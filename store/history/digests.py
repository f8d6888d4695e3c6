"""A digest of each row, of all that a snapshot holds of it, and of many rows together in whatever order.

A row's digest has 128 bits: of each value a 64-bit code, mixed twice with what its column is called, and
summed. The mixing is that of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
generators", 2014). It tells whether rows are the same ones; it is no proof against somebody who can write to
the storage and knows how it is computed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.uint64]
Digests = NDArray[np.uint64]
"""Of n rows, shape (n, 2)."""
_LANES = 2
_MISSING = np.uint64(0x9E3779B97F4A7C15)


def row_digests(values: Mapping[str, NDArray[Any]]) -> Digests:
    """Digests of n rows of columns by name: numbers, times, texts (None is missing), or levels of images."""
    count = len(next(iter(values.values())))
    digests = np.zeros((count, _LANES), dtype=np.uint64)
    for name, column in values.items():
        codes = _codes(column)
        for lane in range(_LANES):
            digests[:, lane] += _mixed(codes ^ _code_of(f"{lane}:{name}"))
    return digests


def sum_of(digests: Digests) -> tuple[int, int]:
    """The sums of n rows' digests, each modulo 2**64."""
    first, second = (int(digests[:, lane].sum(dtype=np.uint64)) for lane in range(_LANES))
    return first, second


def _codes(column: NDArray[Any]) -> Codes:
    """A code for each value, equal where values are."""
    if column.ndim > 1:
        flat = np.ascontiguousarray(column).reshape(len(column), -1)
        return _codes_of(row.tobytes() for row in flat)
    if column.dtype == object:
        import pandas as pd  # slow, and who only looks at tables needs none of it

        places, distinct = pd.factorize(column, use_na_sentinel=True)
        codes = np.append(_codes_of(one.encode("utf-8", "surrogatepass") for one in distinct), _MISSING)
        return np.asarray(codes[places])
    if column.dtype.kind == "f":
        column = np.where(np.isnan(column), np.nan, column) + 0.0  # one code for -0.0 and 0.0
    return np.ascontiguousarray(column).view(np.uint64)


def _code_of(name: str) -> np.uint64:
    return np.uint64(_codes_of([name.encode("utf-8", "surrogatepass")])[0])


def _codes_of(values: Iterable[bytes]) -> Codes:
    """The first 64 bits of the BLAKE2b of each."""
    hashed, size = hashlib.blake2b, 8
    return np.frombuffer(b"".join([hashed(one, digest_size=size).digest() for one in values]), "<u8")


def _mixed(codes: Codes) -> Codes:
    codes = (codes ^ (codes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    codes = (codes ^ (codes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(codes ^ (codes >> np.uint64(31)))
