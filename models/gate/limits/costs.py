"""What a version costs where it serves: bytes on disk, and the time that one record takes in this process.

Timed is what a server does of a single record with the version: reading it from JSON, encoding, running the
model, label and score. Not timed is what comes around that: HTTP, checking what came, waiting for a batch,
other requests, writing the response and the log. So it is a part of what a caller waits for, on this machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from features.records.contract import Columns, take
from models.versions.predictor import Predictor

MOST_RECORDS = 100
"""Records that are timed, spread over those that are judged on."""
ROUNDS = 7
"""How often each is asked; the median counts, so that a pause of the machine does not."""
SLOWEST = 0.99
"""The figure is that of a record slower than this share of them: texts and images differ."""
Clock = Callable[[], float]
"""Seconds."""


@dataclass(frozen=True)
class Costs:
    """What a version costs."""

    bytes: int
    """Of all files of its artifact."""
    latency_ms: float | None = None
    """Of one record by itself, 99th percentile over records of the median of each; None: not timed."""
    records: int = 0
    """That were timed."""


def artifact_bytes(directory: Path) -> int:
    """Bytes of all files of an artifact."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def time_answers(predictor: Predictor, columns: Columns, clock: Clock = time.perf_counter) -> list[float]:
    """Milliseconds that each of up to `MOST_RECORDS` records takes by itself, the median of `ROUNDS` times.

    Args:
        columns: checked records.
    """
    rows = len(next(iter(columns.values())))
    places = np.unique(np.linspace(0, rows - 1, min(rows, MOST_RECORDS)).astype(np.intp))
    documents = predictor.contract.to_json(take(columns, places))
    for document in documents:
        _answer(
            predictor, document
        )  # what is loaded or compiled at the first answer is no part of the others
    seconds = np.zeros((ROUNDS, len(documents)))
    for round_ in range(ROUNDS):
        for place, document in enumerate(documents):
            begun = clock()
            _answer(predictor, document)
            seconds[round_, place] = clock() - begun
    medians: list[float] = (1000 * np.median(seconds, axis=0)).tolist()
    return medians


def measure_costs(artifact: Path, predictor: Predictor, columns: Columns, *, timed: bool) -> Costs:
    """What a version costs: its bytes, and where it is asked for the time of one record.

    Args:
        columns: checked records to ask it about.
    """
    size = artifact_bytes(artifact)
    milliseconds = time_answers(predictor, columns) if timed else []
    if not milliseconds:
        return Costs(size)
    return Costs(size, float(np.quantile(milliseconds, SLOWEST)), len(milliseconds))


def _answer(predictor: Predictor, document: str) -> tuple[list[str], list[float]]:
    """One record from JSON to label and score."""
    answers = predictor.predict(predictor.contract.from_json([document]))
    return answers.labels, answers.scores
