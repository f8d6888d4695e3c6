"""The model's own part: CPU of encoding and answering by the same version, on the same number of rows.

`python -m benchmarks.hot_path.model_part ARTIFACT KIND ROWS` prints microseconds a row, for each.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time

from configs.settings import CHECKOUT

SECONDS = 0.4
ROUNDS = 5


@dataclass(frozen=True)
class ModelPart:
    """Microseconds of CPU a row."""

    encode: float
    """Columns to numbers."""
    run: float
    """Numbers to probabilities."""

    @property
    def both(self) -> float:
        """What any server has to spend that answers by this version."""
        return self.encode + self.run


def model_part(artifact: Path, kind: str, rows: int) -> ModelPart:
    """Measure in a process of its own, with the threads that a worker has."""
    command = [sys.executable, "-m", "benchmarks.hot_path.model_part", str(artifact), kind, str(rows)]
    environ = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=CHECKOUT, env=environ, check=True, capture_output=True, text=True)
    return ModelPart(**json.loads(done.stdout.splitlines()[-1]))


def microseconds(ask: Callable[[int], object], rows: int) -> float:
    """CPU a row; the least of some rounds, as whoever else runs only adds to it."""
    rounds = []
    for _ in range(ROUNDS):
        calls, began, cpu = 0, perf_counter(), process_time()
        while perf_counter() - began < SECONDS:
            ask(calls)
            calls += 1
        rounds.append(1e6 * (process_time() - cpu) / calls / rows)
    return min(rounds)


def main() -> None:
    """Measure and print."""
    from benchmarks.hot_path.records import requests_of
    from models.versions.predictor import Predictor

    artifact, kind, rows = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    predictor = Predictor.load(artifact)
    records = requests_of(kind, max(256, rows))
    batches = [records[start : start + rows] for start in range(0, len(records) - rows + 1, rows)]
    columns = [predictor.contract.check_records(batch).all_or_raise() for batch in batches]
    encoded = [predictor.encode(one) for one in columns]
    encode = microseconds(lambda turn: predictor.encode(columns[turn % len(columns)]), rows)
    run = microseconds(lambda turn: predictor.run(encoded[turn % len(encoded)]), rows)
    sys.stdout.write(json.dumps({"encode": encode, "run": run}) + "\n")


if __name__ == "__main__":
    main()
