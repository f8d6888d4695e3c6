"""A network of one convolution, as a folder holds it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

PLACES = 8


def write_network(
    folder: Path, *, size: int | None = None, last: bool = False, told: dict[str, Any] | None = None
) -> Path:
    """A convolution, and the mean of each of its maps.

    Args:
        size: of the pictures that it takes; None: any.
        last: whether channels come last.
        told: what its `preprocessor_config.json` says; None: there is none.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    folder.mkdir(parents=True, exist_ok=True)
    kernel = np.random.default_rng(1).normal(size=(PLACES, 3, 3, 3)).astype(np.float32)
    sides: list[Any] = [size or "height", size or "width"]
    shape = ["n", *sides, 3] if last else ["n", 3, *sides]
    turned = [helper.make_node("Transpose", ["pictures"], ["turned"], perm=[0, 3, 1, 2])] if last else []
    nodes = [
        *turned,
        helper.make_node("Conv", ["turned" if last else "pictures", "kernel"], ["maps"]),
        helper.make_node("Relu", ["maps"], ["positive"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("pictures", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("positive", TensorProto.FLOAT, ["n", PLACES, "h", "w"])],
        [numpy_helper.from_array(kernel, "kernel")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(folder / "model.onnx"))
    if told is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(told), encoding="utf-8")
    return folder
