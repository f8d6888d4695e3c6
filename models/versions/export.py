"""Export to ONNX, checked against the model that was exported."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from models.errors import ParityError
from models.estimators.arrays import Features
from models.estimators.contract import Exportable, Fitted
from models.versions.artifact import Parity
from models.versions.runtime import Runner, open_onnx

TOLERANCE = 1e-4
COMPARED_AT_ONCE = 256


def measure_parity(estimator: Fitted, runner: Runner, x: Features) -> Parity:
    """The largest difference between two answers to the same encoded rows."""
    differences = [0.0]
    for start in range(0, len(x), COMPARED_AT_ONCE):
        rows = x[start : start + COMPARED_AT_ONCE]
        native, exported = estimator.predict_proba(rows), runner(rows)
        if native.shape != exported.shape or not np.isfinite(exported).all():
            differences.append(float("inf"))
        else:
            differences.append(float(np.abs(native - exported).max()))
    return Parity(max_difference=max(differences), tolerance=TOLERANCE, rows=len(x))


def export_model(estimator: Fitted, path: Path, x: Features) -> Parity | None:
    """Write the estimator as ONNX and compare; None, and no file, when it has no such power.

    Args:
        estimator: one that has learned.
        path: the file to write.
        x: encoded rows that it has not learned from.

    Raises:
        ParityError: the exported model answers differently.
    """
    if not isinstance(estimator, Exportable):
        return None
    estimator.export_onnx(path)
    parity = measure_parity(estimator, open_onnx(path), x)
    if not parity.agrees:
        raise ParityError(parity.max_difference, parity.tolerance, parity.rows)
    return parity
