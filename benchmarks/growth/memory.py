"""What fits of all rows at once take of memory, foretold and measured: each in a process of its own.

`python -m benchmarks.growth.memory [ESTIMATOR ...]`: two sizes each; ends with 1 where one is not within a
factor of 1.5.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from typing import Any

import numpy as np

from benchmarks.growth.made_rows import make_batch
from benchmarks.growth.made_rows import make_use_case as make_tabular
from configs.schema import ChallengerConfig, UseCase
from features.records.rows import RowBatch, RowsInMemory
from models.estimators.fit_watch import SilentWatch
from models.streamed.choosing import estimate_fit
from models.streamed.memory import describe_bytes
from models.versions.fitting import estimator_of, fit_challenger

WITHIN = 1.5
FULL = ChallengerConfig(name="full")
FEW_STEPS: dict[str, dict[str, Any]] = {
    "catboost": {"iterations": 20},
    "logistic": {"max_iter": 20},
    "sklearn": {"class": "sklearn.ensemble.HistGradientBoostingClassifier", "max_iter": 20},
    "keras_mixed": {"epochs": 1, "batch_size": 1024},
    "keras_cnn": {"epochs": 1, "batch_size": 256},
    "keras_resnet": {"epochs": 1, "batch_size": 256, "filters": [4, 8]},
    "linear_text": {"epochs": 1},
    "catboost_mixed": {"iterations": 20, "folds": 2, "text_epochs": 1},
}
"""Estimator to parameters with which it ends soon; its memory is that of its first steps."""
KINDS = {"keras_cnn": "image", "keras_resnet": "image", "linear_text": "text", "catboost_mixed": "mixed"}
SIZES = {"tabular": (100_000, 400_000), "image": (20_000, 80_000), "text": (5_000, 20_000)}
SIDE, WORDS = 28, 60


def make_rows(kind: str, count: int) -> RowBatch:
    """Rows of a kind."""
    if kind == "tabular":
        return make_batch(0, count)
    random = np.random.default_rng(5)
    y = random.integers(0, 2, count)
    labels, seq = np.array(["no", "yes"], object)[y], np.arange(count)
    if kind == "image":
        columns: Any = {"picture": random.integers(0, 256, (count, SIDE, SIDE), dtype=np.uint8)}
    else:
        known = np.array([f"word{number}" for number in range(20_000)], object)
        codes = random.zipf(1.3, (count, WORDS)) % len(known)
        codes[:, 0] = y
        columns = {"body": np.array([" ".join(known[row]) for row in codes], object)}
        if kind == "mixed":
            columns["number"] = random.normal(size=count)
    return RowBatch(columns, labels, seq, seq.astype("datetime64[us]"))


def make_use_case(estimator: str) -> UseCase:
    """A use case of such rows."""
    kind = KINDS.get(estimator, "tabular")
    if kind == "tabular":
        return make_tabular(estimator, **FEW_STEPS[estimator])
    fields: list[dict[str, Any]] = [{"name": "body", "type": "text"}]
    if kind == "image":
        fields = [{"name": "picture", "type": "image", "shape": [SIDE, SIDE]}]
    if kind == "mixed":
        fields.append({"name": "number", "type": "number"})
    return UseCase.model_validate(
        {
            "name": "memory",
            "title": "Made-up rows",
            "kind": kind,
            "record": {"fields": fields},
            "target": {"task": "binary", "classes": ["no", "yes"]},
            "model": {"estimator": estimator, "params": FEW_STEPS[estimator]},
        }
    )


def measure(estimator: str, count: int) -> dict[str, Any]:
    """Fit, and compare the peak of this process with what was foretold."""
    use_case, rows = make_use_case(estimator), make_rows(KINDS.get(estimator, "tabular"), count)
    foretold = estimate_fit(use_case, RowsInMemory(rows), estimator_of(use_case, FULL)[0])
    assert foretold is not None
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    fit_challenger(
        use_case, rows.columns, list(rows.labels), challenger=FULL, watch=SilentWatch(), times=rows.time
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    encoded = count * foretold.encoded_bytes
    return {
        "estimator": estimator,
        "rows": count,
        "encoded_bytes": foretold.encoded_bytes,
        "row_bytes": foretold.row_bytes,
        "before_gb": round(before / 1e9, 3),
        "foretold": describe_bytes(foretold.bytes),
        "measured": describe_bytes(peak),
        "ratio": round(foretold.bytes / peak, 2),
        "copies_measured": round((peak - foretold.taken.fixed - count * foretold.row_bytes) / encoded, 2),
    }


def main() -> None:
    """A line of JSON for each estimator and size."""
    if sys.argv[1:2] == ["--one"]:
        sys.stdout.write(json.dumps(measure(sys.argv[2], int(sys.argv[3]))))
        return
    wrong = False
    for estimator in sys.argv[1:] or FEW_STEPS:
        kind = KINDS.get(estimator, "tabular")
        for size in SIZES["text" if kind == "mixed" else kind]:
            words = [sys.executable, "-m", "benchmarks.growth.memory", "--one", estimator, str(size)]
            told = subprocess.run(
                words, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ}
            ).stdout
            found = json.loads(told.strip().splitlines()[-1])
            sys.stdout.write(json.dumps(found) + "\n")
            sys.stdout.flush()
            wrong = wrong or not 1 / WITHIN <= found["ratio"] <= WITHIN
    sys.exit(wrong)


if __name__ == "__main__":
    main()
