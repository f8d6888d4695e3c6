"""What a fit takes of memory, told before it begins: rows, times what each takes, and what is taken besides.

Figures are of the whole process (`benchmarks/growth/memory.py` measures its peak, and holds them to a factor
of 1.5): a process with the libraries of an estimator, the records as they are read, and the encoded rows as
many times as the estimator copies them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from features.encoders.contract import row_count
from features.records.contract import Columns

GIGABYTE = 1_000_000_000
CGROUP = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
MACHINE = Path("/proc/meminfo")
BESIDE_RECORD = 150
"""Bytes of a row besides its record: label, arrival, time, identity, and what else stands beside."""


@dataclass(frozen=True)
class Taken:
    """What the fit of an estimator takes."""

    fixed: float
    """Bytes, whatever the rows: Python and the libraries."""
    copies: float
    """How many times the encoded rows are in memory at its peak."""


TAKES: Mapping[str, Taken] = {
    "catboost": Taken(0.17e9, 3.1),
    "catboost_mixed": Taken(0.35e9, 3.0),
    "keras_cnn": Taken(1.0e9, 3.0),
    "keras_mixed": Taken(1.0e9, 3.0),
    "keras_resnet": Taken(1.0e9, 3.0),
    "linear_text": Taken(0.14e9, 2.0),
    "logistic": Taken(0.2e9, 1.15),
    "sklearn": Taken(0.29e9, 4.0),
}
"""Estimator to what it takes; those that learn from batches alone are not in it."""
OTHER = Taken(0.5e9, 3.0)
"""Of a class of another package, which nobody has measured."""


@dataclass(frozen=True)
class Estimate:
    """What a fit of all rows at once takes."""

    rows: int
    row_bytes: int
    """Of a record as it is read, with what stands beside it."""
    encoded_bytes: int
    """Of an encoded row."""
    taken: Taken

    @property
    def bytes(self) -> int:
        """At the peak of the process."""
        return int(self.taken.fixed + self.rows * (self.row_bytes + self.taken.copies * self.encoded_bytes))

    @property
    def told(self) -> str:
        """How it comes about, in a sentence."""
        return (
            f"about {describe_bytes(self.bytes)}: {self.rows:,} rows of {self.row_bytes:,} bytes as they are "
            f"read and {self.encoded_bytes:,} encoded, these {self.taken.copies:g} times"
        )


def estimate(estimator: str, rows: int, some: Columns, row_shape: tuple[int, ...]) -> Estimate:
    """What a fit of so many rows takes.

    Args:
        some: a few of them, by which the length of texts is told.
        row_shape: of an encoded row: 32-bit numbers.
    """
    encoded = 4 * int(np.prod(row_shape, dtype=np.int64))
    return Estimate(rows, BESIDE_RECORD + record_bytes(some), encoded, TAKES.get(estimator, OTHER))


def record_bytes(some: Columns) -> int:
    """Bytes of a record, on average; a text that several rows share is counted once."""
    count = row_count(some)
    if not count:
        return 0
    total = 0.0
    for column in some.values():
        total += column.nbytes / count
        if column.dtype == object:
            held = {id(value): value for value in column.tolist() if value is not None}
            total += sum(map(sys.getsizeof, held.values())) / count
    return int(total)


def describe_bytes(count: float) -> str:
    """As people say it.

    >>> describe_bytes(12_345_678_901), describe_bytes(250_000_000)
    ('12.3 GB', '250 MB')
    """
    return f"{count / GIGABYTE:.1f} GB" if count >= 0.95 * GIGABYTE else f"{count / 1e6:.0f} MB"


def machine_memory() -> int | None:
    """Bytes that this process may have at most: of its container, or the machine; None: it is not told."""
    told = []
    for path in CGROUP:
        try:
            told.append(int(path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            continue
    try:
        words = MACHINE.read_text(encoding="utf-8").split()
        told.append(1024 * int(words[words.index("MemTotal:") + 1]))
    except (OSError, ValueError):
        pass
    return min(told, default=None)
