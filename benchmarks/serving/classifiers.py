"""The classifiers that `sklearn` may name, by themselves and by ONNX: seconds to fit and to answer, and how
far they differ.

python -m benchmarks.serving.classifiers
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as the service's workers have it

import numpy as np
from numpy.typing import NDArray

from models.errors import NoExport
from models.estimators.fit_watch import SilentWatch
from models.estimators.scikit.estimator import SklearnClassifier
from models.versions.export import export_model
from models.versions.runtime import open_onnx

TREES, TRAINING, HELD_OUT, BATCH, ROUNDS = 100, 4000, 2000, 256, 30
SPECS: dict[str, dict[str, Any]] = {
    "HistGradientBoosting": {
        "class": "sklearn.ensemble.HistGradientBoostingClassifier",
        "max_iter": TREES,
    },
    "RandomForest": {"class": "sklearn.ensemble.RandomForestClassifier", "n_estimators": TREES},
    "LightGBM": {"class": "lightgbm.LGBMClassifier", "n_estimators": TREES},
    "XGBoost": {"class": "xgboost.XGBClassifier", "n_estimators": TREES},
    "scaler, PCA, LogisticRegression": {
        "steps": [
            "sklearn.preprocessing.StandardScaler",
            {"class": "sklearn.decomposition.PCA", "n_components": 8},
            {"class": "sklearn.linear_model.LogisticRegression"},
        ]
    },
    "LinearSVC": {"class": "sklearn.svm.LinearSVC"},
}


def make_rows() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Numbers and flags (n, 20), and three classes that depend on some of them."""
    random = np.random.default_rng(0)
    x = random.normal(size=(TRAINING + HELD_OUT, 20)).astype(np.float32)
    x[:, 10:] = x[:, 10:] > 0
    return x, ((x[:, 0] + 0.3 * x[:, 5] + x[:, 12] * x[:, 1]) > 0).astype(np.int64) + (x[:, 2] > 1)


def milliseconds(ask: Callable[[], object]) -> float:
    """Median time of a call."""
    ask()
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        ask()
        taken.append(time.perf_counter() - began)
    return 1000 * float(np.median(taken))


def measure(name: str, params: dict[str, Any], folder: Path) -> str:
    """One row of the table."""
    x, y = make_rows()
    model, held_out = SklearnClassifier(params), x[TRAINING:]
    began = time.perf_counter()
    model.fit(x[:TRAINING], y[:TRAINING], n_classes=3, seed=7, watch=SilentWatch())
    fit = time.perf_counter() - began
    own = [milliseconds(partial(model.predict_proba, held_out[:rows])) for rows in (1, BATCH)]
    cells = [name, f"{fit:.2f} s", *(f"{one:.3f} ms" for one in own)]
    try:
        parity = export_model(model, folder / "model.onnx", held_out)
    except NoExport as error:
        return f"| {' | '.join(cells)} | {error} | | |"
    assert parity is not None
    run = open_onnx(folder / "model.onnx")
    graph = [milliseconds(partial(run, held_out[:rows])) for rows in (1, BATCH)]
    cells += [*(f"{one:.3f} ms" for one in graph), f"{parity.max_difference:.1e}"]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    print(f"{TRAINING} rows of 20 numbers, 3 classes, {TREES} trees; answers on one thread\n")  # noqa: T201
    heads = [
        "",
        "fit",
        "1 row",
        f"{BATCH} rows",
        "1 row by ONNX",
        f"{BATCH} rows by ONNX",
        "largest difference",
    ]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")  # noqa: T201
    for name, params in SPECS.items():
        with TemporaryDirectory() as folder:
            print(measure(name, params, Path(folder)))  # noqa: T201


if __name__ == "__main__":
    main()
