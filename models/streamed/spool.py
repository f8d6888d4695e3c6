"""Encoded rows on disk, compressed: encoded once, and read part by part as often as an estimator asks.

Columns that say which category a row has are nearly all zeros, so a part of them takes about as much room as
the places of its categories would. The file has no name: it is gone with the process that made it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.estimators.arrays import Features, Targets, part_rows

CODEC = "lz4"


@dataclass(frozen=True)
class _Part:
    start: int
    size: int
    """Of the compressed rows."""
    y: NDArray[np.int32]
    ages: NDArray[np.int32]


class SpooledRows:
    """Encoded rows with their targets and ages, in parts.

    Args:
        folder: a folder on a disk with room.
        row_shape: of an encoded row.
        most: rows of a part; None: what `part_rows` says.
    """

    def __init__(self, folder: Path, row_shape: tuple[int, ...], *, most: int | None = None) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, prefix="ratchet-rows-")  # noqa: SIM115 - as long as it
        self._codec = pa.Codec(CODEC)
        self._shape, self._most = row_shape, most or part_rows(row_shape)
        self._folder = folder
        self._parts: list[_Part] = []
        self._end = 0
        self._some: list[SpooledRows] = []

    def __enter__(self) -> SpooledRows:
        return self

    def __exit__(self, *_: object) -> None:
        """Give the room on disk back, that of those made of it too."""
        for one in self._some:
            one.__exit__()
        self._file.close()

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        return self._shape

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return len(self._parts)

    @property
    def file_size(self) -> int:
        """Bytes on disk."""
        return self._end

    def __len__(self) -> int:
        return sum(len(part.y) for part in self._parts)

    def part(self, place: int) -> tuple[Features, Targets]:
        """Read the rows of one part."""
        part = self._parts[place]
        packed = os.pread(self._file.fileno(), part.size, part.start)
        shape = (len(part.y), *self._shape)
        room = int(np.prod(shape)) * 4
        x = np.frombuffer(self._codec.decompress(packed, decompressed_size=room), np.float32).reshape(shape)
        return x, part.y.astype(np.int64)

    def fill(self, batches: Iterable[tuple[Features, Targets, NDArray[np.int64]]]) -> None:
        """Write rows, their targets and their ages, however they come.

        Raises:
            OSError: the disk is full, or fails; it names the folder.
        """
        for x, y, ages in _in_parts(batches, self._most):
            packed = self._codec.compress(np.ascontiguousarray(x, dtype=np.float32), asbytes=True)
            self._write(packed)
            self._parts.append(_Part(self._end, len(packed), y.astype(np.int32), ages.astype(np.int32)))
            self._end += len(packed)

    def _write(self, packed: bytes) -> None:
        """All of it: a disk that is nearly full takes some, and says only how much."""
        written = 0
        try:
            while written < len(packed):
                rest = memoryview(packed)[written:]
                written += os.pwrite(self._file.fileno(), rest, self._end + written)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._folder)) from error

    def younger_than(self, end: float) -> SpooledRows:
        """Those that are, as rows of their own."""
        some = SpooledRows(self._folder, self._shape, most=self._most)
        self._some.append(some)

        def chosen() -> Iterator[tuple[Features, Targets, NDArray[np.int64]]]:
            for place, part in enumerate(self._parts):
                young = part.ages < end
                if young.any():
                    x, y = self.part(place)
                    yield x[young], y[young], part.ages[young].astype(np.int64)

        some.fill(chosen())
        return some


def _in_parts(
    batches: Iterable[tuple[Features, Targets, NDArray[np.int64]]], most: int
) -> Iterator[tuple[Features, Targets, NDArray[np.int64]]]:
    """The same rows in parts of as many as is asked for, but for the last."""
    held: list[tuple[Features, Targets, NDArray[np.int64]]] = []
    count = 0
    for batch in batches:
        held.append(batch)
        count += len(batch[1])
        while count >= most:
            together = _join(held)
            yield together[0][:most], together[1][:most], together[2][:most]
            held = [(together[0][most:], together[1][most:], together[2][most:])]
            count -= most
    if count:
        yield _join(held)


def _join(
    held: list[tuple[Features, Targets, NDArray[np.int64]]],
) -> tuple[Features, Targets, NDArray[np.int64]]:
    if len(held) == 1:
        return held[0]
    x, y, ages = zip(*held, strict=True)
    return np.concatenate(x), np.concatenate(y), np.concatenate(ages)
