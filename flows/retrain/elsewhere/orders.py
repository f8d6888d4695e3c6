"""What a process elsewhere is given to make one challenger, and what it gives back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from configs.schema import ChallengerConfig, UseCase
from flows.compute.columns import Packed, pack_array, pack_columns, unpack_array, unpack_columns
from models.shadows.record import Record
from models.versions.artifact import Lineage
from store.snapshots.frames import Frame


@dataclass(frozen=True)
class PackedFrame:
    """Rows of a snapshot as they travel; of their identities a fit asks nothing."""

    columns: dict[str, Packed]
    labels: Packed
    seq: Packed
    time: Packed
    split: Packed


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
    """A `PackedFrame`: those to learn from."""
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


def pack_frame(frame: Frame) -> PackedFrame:
    """Rows as they travel."""
    arrays = (frame.labels, frame.seq, frame.time, frame.split)
    return PackedFrame(pack_columns(frame.columns), *map(pack_array, arrays))


def unpack_frame(packed: PackedFrame) -> Frame:
    """The rows again, without identities."""
    seq = unpack_array(packed.seq)
    nobody = np.full(len(seq), None, dtype=object)
    return Frame(
        unpack_columns(packed.columns),
        unpack_array(packed.labels),
        nobody,
        seq,
        unpack_array(packed.time),
        unpack_array(packed.split),
    )
