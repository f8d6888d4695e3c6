"""EfficientNet-Lite0 as an ONNX graph, written from its weights without what it was made by.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019; the lite
variants have neither squeeze-and-excitation nor swish. One call takes pictures (n, height, width, 3) in 0..1
and gives what the last layer before the classes says of them, (n, 1280), as the mean over the picture. Batch
normalisation is folded into the convolutions, as the statistics do not change any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

WRITER = 1
"""Rises when the same weights would be written as another graph."""
OPSET, IR = 17, 9
EPSILON = 1e-3
STEM, PLACES = 32, 1280
STAGES = (
    (1, 1, 1, 16), (2, 2, 6, 24), (2, 2, 6, 40), (3, 2, 6, 80), (3, 1, 6, 112), (4, 2, 6, 192),
    (1, 1, 6, 320),
)  # fmt: skip
"""Of blocks that are alike: how many, the step of the first, how much they widen, and their channels."""
MEAN, DEVIATION = 127 / 255, 128 / 255
"""Of the levels that it was trained with."""
PICTURES, FEATURES = "pictures", "features"

Tensors = Mapping[str, NDArray[Any]]


def write_graph(weights: Tensors, path: Path) -> None:
    """Write the graph.

    Raises:
        KeyError: a weight is missing.
    """
    import onnx

    graph = _Graph(weights)
    x = graph.add("Transpose", [PICTURES], perm=[0, 3, 1, 2])
    x = graph.add("Sub", [x, graph.constant("mean", np.float32(MEAN))])
    x = graph.add("Div", [x, graph.constant("deviation", np.float32(DEVIATION))])
    x = graph.convolve(x, "_conv_stem", "_bn0", step=2)
    channels, block = STEM, 0
    for count, first_step, widening, out in STAGES:
        for place in range(count):
            step = first_step if place == 0 else 1
            x = graph.block(
                x, f"_blocks.{block}.", step, channels * widening, adds=step == 1 and channels == out
            )
            channels, block = out, block + 1
    x = graph.convolve(x, "_conv_head", "_bn1")
    x = graph.add("GlobalAveragePool", [x])
    graph.add("Flatten", [x], output=FEATURES)
    onnx.save(graph.model(), str(path))


class _Graph:
    """Nodes and constants, in the order in which they are added."""

    def __init__(self, weights: Tensors) -> None:
        self._weights = weights
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self.constant("least", np.float32(0))
        self.constant("most", np.float32(6))

    def constant(self, name: str, array: Any) -> str:
        """A named constant."""
        from onnx import numpy_helper

        self._constants[name] = numpy_helper.from_array(
            np.ascontiguousarray(array).reshape(np.shape(array)), name
        )
        return name

    def add(self, kind: str, inputs: list[str], output: str = "", **options: Any) -> str:
        """A node with one output, whose name is given back."""
        from onnx import helper

        output = output or f"{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], name=output, **options))
        return output

    def convolve(
        self, x: str, name: str, norm: str, *, step: int = 1, groups: int = 1, cut: bool = True
    ) -> str:
        """A convolution with its batch normalisation, cut to 0..6 if asked for."""
        kernel = self._weights[f"{name}.weight"]
        gain, shift, mean, variance = (
            self._weights[f"{norm}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gain / np.sqrt(variance + EPSILON)
        folded = self.constant(f"{name}.weight", (kernel * scale[:, None, None, None]).astype(np.float32))
        bias = self.constant(f"{name}.bias", (shift - mean * scale).astype(np.float32))
        # As the weights were trained: of an uneven border, more lies below and to the right.
        x = self.add(
            "Conv", [x, folded, bias], strides=[step, step], group=groups, auto_pad="SAME_UPPER",
            kernel_shape=list(kernel.shape[2:]),
        )  # fmt: skip
        return self.add("Clip", [x, "least", "most"]) if cut else x

    def block(self, x: str, name: str, step: int, width: int, *, adds: bool) -> str:
        """An inverted residual: widened, filtered channel by channel, narrowed, and added where it fits."""
        inner = x
        if f"{name}_expand_conv.weight" in self._weights:
            inner = self.convolve(inner, f"{name}_expand_conv", f"{name}_bn0")
        inner = self.convolve(inner, f"{name}_depthwise_conv", f"{name}_bn1", step=step, groups=width)
        inner = self.convolve(inner, f"{name}_project_conv", f"{name}_bn2", cut=False)
        return self.add("Add", [inner, x]) if adds else inner

    def model(self) -> Any:
        """The whole of it."""
        from onnx import TensorProto, helper

        graph = helper.make_graph(
            self._nodes,
            "efficientnet_lite0",
            [helper.make_tensor_value_info(PICTURES, TensorProto.FLOAT, ["pictures", "height", "width", 3])],
            [helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["pictures", PLACES])],
            list(self._constants.values()),
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
