"""Answers of one version to many records that are in memory, by a pool where one is configured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.schema import UseCase
from configs.settings import Settings
from features.encoders.contract import row_count
from features.pretrained.keeping import vectors_kept
from features.records.contract import Columns, take
from flows.batch.answering import predictor_at
from flows.compute import inside
from flows.compute.columns import Packed, pack_columns, unpack_columns
from flows.compute.contract import as_done
from flows.compute.opening import address_of, opened_pool
from models.versions.predictor import Answers, Predictor

CHUNK_ROWS = 5_000
MANY_ROWS = 20_000
"""Fewer are answered here sooner than a pool is ready."""


def ask_many(
    settings: Settings, use_case: UseCase, predictor: Predictor, artifact: Path, columns: Columns
) -> Answers:
    """Answers to n checked records: here, or where there are many, by the pool that is configured.

    Raises:
        NoProbabilities: what the version gave are none.
        ComputeError: the pool cannot do it.
    """
    rows, address = row_count(columns), address_of(settings, use_case)
    elsewhere = address.scheduler is not None or (address.processes or 1) > 1
    if not elsewhere or rows < MANY_ROWS:
        return predictor.predict(columns)
    probabilities = np.empty((rows, len(predictor.classes)), dtype=np.float32)
    with opened_pool(settings, use_case) as pool:
        shared = pool.share_folder(artifact)
        home = settings.home if pool.is_here else None

        def chunks() -> Iterator[tuple[int, tuple[Any, ...]]]:
            for start in range(0, rows, CHUNK_ROWS):
                some = np.arange(start, min(start + CHUNK_ROWS, rows))
                yield start, (shared, pack_columns(take(columns, some)), home)

        for start, part in as_done(pool, probabilities_of, chunks()):
            probabilities[start : start + len(part)] = part
    return predictor.answers(probabilities)


def probabilities_of(
    artifact: Any, packed: dict[str, Packed], home: Path | None = None
) -> NDArray[np.float32]:
    """In a process of a pool: probabilities of records, shape (n, classes).

    Args:
        artifact: shared folder of the version.
        home: where vectors of texts are kept, if that is on this machine.
    """
    predictor = predictor_at(inside.folder_of(artifact))
    with vectors_kept(home or inside.own_folder(), threads=1, drives_out=False):
        return predictor.predict(unpack_columns(packed)).probabilities
