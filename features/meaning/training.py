"""What is otherwise where models learn than where they answer: vectors are kept, and all cores are used."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from features.meaning.kept_vectors import KeptVectors

FILE = "vectors.sqlite"


@dataclass(frozen=True)
class Training:
    """What a process that trains has."""

    vectors: KeptVectors
    threads: int


_current: list[Training] = []


def current_training() -> Training | None:
    """That of this process; None where nothing is being trained."""
    return _current[-1] if _current else None


@contextmanager
def vectors_kept(home: Path) -> Iterator[KeptVectors]:
    """Keep vectors of texts in a home while it lasts, for every thread of this process."""
    with KeptVectors(home / "cache" / FILE) as vectors:
        training = Training(vectors, _usable_cores())
        _current.append(training)
        try:
            yield vectors
        finally:
            _current.remove(training)


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
