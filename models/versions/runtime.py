"""Ways to run a version: ONNX Runtime, or the estimator itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from features.other_packages import raised
from models.estimators.arrays import Features
from models.versions.artifact import ONNX, Manifest
from models.versions.members import load_answering

Runner = Callable[[Features], NDArray[np.float32]]
"""Encoded rows (n, ...) to probabilities (n, classes); safe to call from many threads."""


def open_onnx(path: Path) -> Runner:
    """A session on one thread: requests run side by side, and one may not occupy every core."""
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    outputs = [session.get_outputs()[0].name]

    def run(x: Features) -> NDArray[np.float32]:
        probabilities: NDArray[np.float32] = session.run(outputs, {name: x})[0]
        return probabilities

    return run


def open_runner(directory: Path, manifest: Manifest) -> Runner:
    """What answers for the version in a directory."""
    if manifest.runtime == "onnx":
        return open_onnx(directory / ONNX)
    answer = load_answering(directory, manifest).predict_proba

    def run(x: Features) -> NDArray[np.float32]:
        try:
            return answer(x)
        except SystemExit as error:  # a class of another package, which may not end a server
            raise RuntimeError(f"{manifest.estimator} {raised(error)}") from error

    return run
