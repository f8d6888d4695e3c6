"""A full retrain in batches of very many rows: its peak of memory, its seconds, rows a second.

`python -m benchmarks.growth.streaming --rows 10000000`: one process makes the rows and another learns them,
so that the peak is that of learning.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.growth.made_rows import ParquetRows, make_batch, make_use_case, write_rows

HELD_OUT = 20_000
ESTIMATORS: dict[str, dict[str, Any]] = {
    "xgboost": {},
    "logistic_batches": {},
}
MOST = 4e9


class Stages:
    """Follows a fit, and keeps the moment of its first step: what is before is encoding."""

    def __init__(self) -> None:
        self.first: float | None = None

    def batch(self, *_: Any) -> None:
        """The fit has begun."""
        self.first = self.first or time.monotonic()

    def epoch(self, *_: Any) -> None:
        """The same."""
        self.first = self.first or time.monotonic()

    def should_stop(self) -> bool:
        """Never."""
        return False


def learn(path: Path, estimator: str, folder: Path, trees: int) -> dict[str, Any]:
    """Fit on all rows of a file; figures of this process, and accuracy on rows that it has not seen."""
    import numpy as np

    from configs.schema import ChallengerConfig
    from models.streamed.fitting import fit_streamed

    rows, watch = ParquetRows(path), Stages()
    params = {**ESTIMATORS[estimator], **({"trees": trees} if estimator == "xgboost" else {})}
    use_case = make_use_case(estimator, **params)
    started = time.monotonic()
    fitted = fit_streamed(
        use_case, rows, challenger=ChallengerConfig(name="full"), watch=watch, folder=folder
    )
    seconds = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    used = resource.getrusage(resource.RUSAGE_SELF)
    others = make_batch(1_000_000_007, HELD_OUT)
    answers = fitted.estimator.predict_proba(fitted.encoder.encode(others.columns))
    right = float((np.array(fitted.classes, object)[answers.argmax(axis=1)] == others.labels).mean())
    return {
        "estimator": estimator,
        "rows": len(rows),
        "encoded": int(np.prod(fitted.encoder.input_shape)),
        "peak_gb": round(peak / 1e9, 2),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "seconds_before_first_step": round((watch.first or started) - started, 1),
        "rows_per_second": round(len(rows) / seconds),
        "accuracy": round(right, 4),
    }


def tell(found: Mapping[str, Any]) -> None:
    """Write a line of JSON."""
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Print one line of JSON an estimator; ends with 1 where one takes more than 4 GB."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--estimator", choices=list(ESTIMATORS), action="append")
    parser.add_argument("--trees", type=int, default=100, help="memory does not depend on them")
    parser.add_argument("--folder", type=Path, help="where rows are kept; default: a folder of its own")
    parser.add_argument("--learn", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.learn is not None:
        path = given.folder / f"rows-{given.rows}.parquet"
        tell(learn(path, given.learn, given.folder, given.trees))
        return
    with tempfile.TemporaryDirectory(prefix="ratchet-growth-") as own:
        folder = given.folder or Path(own)
        path = folder / f"rows-{given.rows}.parquet"
        if not path.exists():
            started = time.monotonic()
            write_rows(path, given.rows)
            tell({"made": given.rows, "seconds": round(time.monotonic() - started, 1)})
        peaks = []
        for estimator in given.estimator or ESTIMATORS:
            words = ["--rows", str(given.rows), "--folder", str(folder), "--learn", estimator]
            words += ["--trees", str(given.trees)]
            told = subprocess.run(
                [sys.executable, "-m", "benchmarks.growth.streaming", *words],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            ).stdout
            found = json.loads(told.strip().splitlines()[-1])
            tell(found)
            peaks.append(found["peak_gb"])
    sys.exit(max(peaks) * 1e9 > MOST)


if __name__ == "__main__":
    main()
