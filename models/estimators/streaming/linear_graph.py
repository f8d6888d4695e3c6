"""A linear classifier as ONNX: one product, and the softmax of what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

OPSET, IR_VERSION = 17, 10


def write_linear_graph(
    path: Path, weights: NDArray[np.float32], start: NDArray[np.float32], shape: Sequence[int]
) -> None:
    """Write softmax(rows @ weights.T + start).

    Args:
        weights: of each class (n_classes, numbers of a row).
        start: of each class (n_classes,).
        shape: of one row.
    """
    from onnx import TensorProto, checker, helper, numpy_helper, save

    nodes = [
        helper.make_node("Flatten", ["rows"], ["flat"], axis=1),
        helper.make_node("Gemm", ["flat", "weights", "start"], ["scores"], transB=1),
        helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["N", *shape])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", len(start)])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(start, "start")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    checker.check_model(model)
    save(model, str(path))
