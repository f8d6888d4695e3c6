"""Networks that others have trained, opened by ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def open_session(path: Path) -> Any:
    """A session on one thread: requests run side by side, and in training several calls do.

    Raises:
        Exception: it is no graph that can be run; the runtime's own kinds have no common base.
    """
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
