"""What a large retrain does to its machine: computes on all cores, holds memory, writes and syncs gigabytes.

`python -m benchmarks.hot_path.neighbour FOLDER [--behind]` goes on until it is ended. The folder should be on
the disk of the home. With `--behind` it has the place that the worker gives to runs.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from flows.mirroring.priority import step_behind

ROWS, COLUMNS = 200_000, 64
CHUNK_BYTES = 16 * 1024 * 1024
FILE_BYTES = 2_000_000_000
FILE = "snapshot"


def compute() -> None:
    """A fit: products of matrices, and rows as Python's own objects in between."""
    import numpy as np  # whose threads take the place that this process has by now

    random = np.random.default_rng(0)
    x = random.normal(size=(ROWS, COLUMNS))
    while True:
        weights = x.T @ x
        x += 1e-9 * (x @ weights)
        rows = x[: ROWS // 20].tolist()
        x[: ROWS // 20] = rows


def write(folder: Path) -> None:
    """A snapshot, written at once, then synced; and anew."""
    chunk = os.urandom(CHUNK_BYTES)
    while True:
        with (folder / FILE).open("wb") as file:
            for _ in range(FILE_BYTES // CHUNK_BYTES):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        (folder / FILE).unlink()


def main() -> None:
    """Do all of it at once."""
    if "--behind" in sys.argv:
        step_behind()
    for _ in range(os.cpu_count() or 1):
        threading.Thread(target=compute, daemon=True).start()
    write(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
