"""What is otherwise where texts come again than where they are answered once: their vectors are kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from features.pretrained.kept_vectors import KeptVectors

FILE = "vectors.sqlite"


@dataclass(frozen=True)
class Keeping:
    """What a process has that keeps vectors."""

    vectors: KeptVectors
    threads: int
    """On which new ones are computed."""


_current: list[Keeping] = []


def current_keeping() -> Keeping | None:
    """That of this process; None where nothing is kept."""
    return _current[-1] if _current else None


@contextmanager
def vectors_kept(home: Path, *, threads: int | None = None, drives_out: bool = True) -> Iterator[KeptVectors]:
    """Keep vectors of texts in a home while it lasts, for every thread of this process.

    Args:
        home: several processes may use the same.
        threads: on which the texts of one call are computed; None: one for each core.
        drives_out: whether new vectors take the place of those unused for longest, once there is no room;
            else they are not kept then: what is asked once may not cost retrains what they need each night.
    """
    with KeptVectors(home / "cache" / FILE, drives_out=drives_out) as vectors:
        keeping = Keeping(vectors, threads or _usable_cores())
        _current.append(keeping)
        try:
            yield vectors
        finally:
            _current.remove(keeping)


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
