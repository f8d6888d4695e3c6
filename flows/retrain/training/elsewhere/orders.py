"""What a process elsewhere is given to make one challenger, and what it gives back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.schema import ChallengerConfig, UseCase
from features.records.rows import RowBatch, RowSource
from flows.compute.columns import Packed, pack_array, pack_columns, unpack_array, unpack_columns
from models.shadows.record import Record
from models.versions.artifact import Lineage


@dataclass(frozen=True)
class PackedBatch:
    """Some rows as they travel."""

    columns: dict[str, Packed]
    labels: Packed
    seq: NDArray[np.int64]
    time: NDArray[np.datetime64]


@dataclass(frozen=True)
class PackedRows:
    """Rows to learn from as they travel; where they arrive each batch is unpacked alone (a `RowSource`)."""

    batches: tuple[PackedBatch, ...]
    seq: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.seq)

    def __iter__(self) -> Iterator[RowBatch]:
        for one in self.batches:
            yield RowBatch(unpack_columns(one.columns), unpack_array(one.labels), one.seq, one.time)


@dataclass(frozen=True)
class Order:
    """One challenger to be made."""

    use_case: UseCase
    challenger: ChallengerConfig
    sample_count: int | None
    record: Record
    lineage: Lineage
    topic: str
    """Under which it reports."""
    home: Path | None = None
    """Where vectors of texts are kept; None: in the folder of whoever makes it."""
    directory: Path | None = None
    """Where the version is written; None: it is sent back."""
    checkpoint_dir: Path | None = None
    """Where an earlier training left off; None: there is no such folder there."""


@dataclass(frozen=True)
class Sent:
    """What several orders are made of, as a pool shares it."""

    rows: Any
    """A `RowSource`: those to learn from."""
    holdout: Any
    """Columns of the held-out rows, packed."""
    parent: Any
    """Folder of production's artifact; None: there is none."""


@dataclass(frozen=True)
class Made:
    """One challenger that was made."""

    packed: bytes | None
    """Its artifact; None: it is where it was to be written."""
    curve: Sequence[tuple[int, dict[str, float]]]
    seconds: float


def pack_rows(rows: RowSource) -> PackedRows:
    """Rows as they travel."""
    packed = (
        PackedBatch(pack_columns(batch.columns), pack_array(batch.labels), batch.seq, batch.time)
        for batch in rows
    )
    return PackedRows(tuple(packed), rows.seq)
