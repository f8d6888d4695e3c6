"""Export to ONNX, checked against the model that was exported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.errors import NoExport, ParityError
from models.estimators.arrays import Features
from models.estimators.contract import Exportable, Fitted
from models.versions.artifact import Parity
from models.versions.runtime import Runner, open_onnx

TOLERANCE = 1e-4
COMPARED_AT_ONCE = 256
MISSING = 0.1
"""Share of mixed cells that are missing, of columns in which values may be."""


def measure_parity(estimator: Fitted, runner: Runner, x: Features, tolerance: float = TOLERANCE) -> Parity:
    """The largest difference between two answers to the same encoded rows."""
    differences = [0.0]
    for start in range(0, len(x), COMPARED_AT_ONCE):
        rows = x[start : start + COMPARED_AT_ONCE]
        native, exported = estimator.predict_proba(rows), runner(rows)
        if native.shape != exported.shape or not np.isfinite(exported).all():
            differences.append(float("inf"))
        else:
            differences.append(float(np.abs(native - exported).max()))
    return Parity(max_difference=max(differences), tolerance=tolerance, rows=len(x))


def export_model(estimator: Fitted, path: Path, x: Features) -> Parity | None:
    """Write the estimator as ONNX and compare; None, and no file, when it has no such power.

    A graph made by a general converter is compared on as many rows of mixed cells besides: held-out rows
    alone pass by most branches of its trees.

    Args:
        estimator: one that has learned.
        path: the file to write.
        x: encoded rows that it has not learned from.

    Raises:
        ParityError: the exported model answers differently.
        NoExport: the same of an estimator that may be served by itself; there is no file then.
    """
    if not isinstance(estimator, Exportable):
        return None
    own_tolerance: float | None = getattr(estimator, "export_tolerance", None)
    if own_tolerance is None:
        estimator.export_onnx(path)
        parity = measure_parity(estimator, open_onnx(path), x)
        if not parity.agrees:
            raise ParityError(parity.max_difference, parity.tolerance, parity.rows)
        return parity
    try:
        return _export_if_it_agrees(estimator, path, x, own_tolerance)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _export_if_it_agrees(estimator: Fitted, path: Path, x: Features, tolerance: float) -> Parity:
    assert isinstance(estimator, Exportable)
    estimator.export_onnx(path)
    try:
        runner = open_onnx(path)
        mixed = mix_cells(x, getattr(estimator, "may_miss", None))
        parity = measure_parity(estimator, runner, np.concatenate([x, mixed]), tolerance)
    except Exception as error:
        raise NoExport(f"the graph does not run: {type(error).__name__}: {error!s:.200}") from error
    if not parity.agrees:
        raise NoExport(
            f"the graph differs from it by {parity.max_difference:.3g} on {parity.rows} rows; "
            f"allowed: {tolerance:g}"
        )
    return parity


def mix_cells(x: Features, may_miss: NDArray[np.bool_] | None = None) -> Features:
    """As many rows, each cell of which is that of some row at the same place, drawn anew the same way each
    time.

    Args:
        may_miss: columns (features,) in which values may be missing: some then are; None: no column.
    """
    flat = x.reshape(len(x), -1)
    random = np.random.default_rng(0)
    mixed = flat[random.integers(len(flat), size=flat.shape), np.arange(flat.shape[1])]
    if may_miss is not None:
        mixed[(random.random(flat.shape) < MISSING) & may_miss] = np.nan
    return np.ascontiguousarray(mixed.reshape(x.shape))
