"""A BERT-like sentence transformer as an ONNX graph, written from its weights without what it was made by.

One call takes token ids (n, tokens) of texts that have the same number of tokens, so there is nothing to
mask, and nothing is computed for padding. It gives their vectors (n, places): the mean over tokens, scaled to
length 1. Each text is computed by itself, in the same order of sums however many are asked at once: answers
are the same to the last bit.

Weights are stored in 8 bits, with a scale for each 32 of them, and are unpacked once, when the graph is
loaded: a quarter of the size. Sums are of 32-bit floats. (With activations in 8 bits as well, answers would
depend on what else is in the batch, and on the processor.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

WRITER = 1
"""Rises when the same weights would be written as another graph."""
OPSET, IR = 20, 9
MICROSOFT = "com.microsoft"
BLOCK = 32
"""Weights that share a scale."""
LARGEST = 127
TOKENS, MEANING = "tokens", "meaning"
"""Names of input and output."""
PROJECTIONS = ("query", "key", "value")

Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Shape:
    """What the weights do not tell."""

    heads: int
    epsilon: float = 1e-12
    """Of the layer norm."""


def write_graph(weights: Tensors, shape: Shape, path: Path) -> None:
    """Write the graph of weights that are named as in BERT.

    Raises:
        KeyError: a weight is missing.
    """
    import onnx

    graph = _Graph()
    hidden = _embed(graph, weights, shape)
    layer = 0
    while f"encoder.layer.{layer}.output.dense.weight" in weights:
        hidden = _transform(graph, weights, f"encoder.layer.{layer}.", shape, hidden)
        layer += 1
    _pool(graph, hidden)
    places = weights["embeddings.word_embeddings.weight"].shape[1]
    onnx.save(graph.model(places), str(path))


class _Graph:
    """Nodes and constants, in the order in which they are added."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def constant(self, name: str, array: NDArray[Any]) -> str:
        """A named constant, added once."""
        from onnx import numpy_helper

        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def add(
        self, kind: str, inputs: Sequence[str], *, domain: str = "", output: str = "", **options: Any
    ) -> str:
        """A node with one output, whose name is given back."""
        from onnx import helper

        output = output or f"{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], name=output, domain=domain, **options))
        return output

    def model(self, places: int) -> Any:
        """The whole of it."""
        from onnx import TensorProto, helper

        graph = helper.make_graph(
            self._nodes,
            "sentence_transformer",
            [helper.make_tensor_value_info(TOKENS, TensorProto.INT64, ["texts", "tokens"])],
            [helper.make_tensor_value_info(MEANING, TensorProto.FLOAT, ["texts", places])],
            list(self._constants.values()),
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR)

    def floats(self, name: str) -> str:
        from onnx import TensorProto

        return self.add("Cast", [name], to=TensorProto.FLOAT)

    def matrix(self, name: str, array: NDArray[Any]) -> str:
        """A matrix (in, out), stored in 8 bits; as it depends on no input, it is unpacked on loading."""
        rows, columns = array.shape
        packed, scales = _pack(array.reshape(rows // BLOCK, BLOCK, columns), axis=1)
        unpacked = self.add(
            "Mul", [self.floats(self.constant(name, packed)), self.constant(f"{name}.scales", scales)]
        )
        whole = self.constant(f"shape_{rows}_{columns}", np.array([rows, columns], np.int64))
        return self.add("Reshape", [unpacked, whole])

    def linear(self, weights: Tensors, name: str, x: str) -> str:
        """x times a matrix, and a bias."""
        product = self.add("MatMul", [x, self.matrix(f"{name}.weight", weights[f"{name}.weight"].T)])
        return self.add("Add", [product, self.constant(f"{name}.bias", weights[f"{name}.bias"])])

    def norm(self, weights: Tensors, name: str, shape: Shape, x: str) -> str:
        """Each token by itself to mean 0 and deviation 1, then scaled and shifted."""
        parts = [self.constant(f"{name}.{part}", weights[f"{name}.{part}"]) for part in ("weight", "bias")]
        return self.add("LayerNormalization", [x, *parts], axis=-1, epsilon=shape.epsilon)


def _embed(graph: _Graph, weights: Tensors, shape: Shape) -> str:
    """Tokens (n, t) to vectors (n, t, places), by what they are and where they stand."""
    words = weights["embeddings.word_embeddings.weight"]
    count, places = words.shape
    packed, scales = _pack(words.reshape(count, places // BLOCK, BLOCK), axis=2)
    rows = graph.add("Gather", [graph.constant("words", packed), TOKENS])
    row_scales = graph.add("Gather", [graph.constant("words.scales", scales), TOKENS])
    unpacked = graph.add("Mul", [graph.floats(rows), row_scales])
    flat = graph.constant("flat", np.array([0, 0, places], np.int64))
    embedded = graph.add("Reshape", [unpacked, flat])
    # Only texts by themselves are read: what says which of two a token is of is the same for all.
    positions = (
        weights["embeddings.position_embeddings.weight"]
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    first = graph.constant("first", np.array([0], np.int64))
    length = graph.add("Shape", [TOKENS], start=1, end=2)
    standing = graph.add("Slice", [graph.constant("positions", positions), first, length])
    return graph.norm(weights, "embeddings.LayerNorm", shape, graph.add("Add", [embedded, standing]))


def _transform(graph: _Graph, weights: Tensors, layer: str, shape: Shape, x: str) -> str:
    """One layer: what tokens take from each other, then two linear maps with a bend between."""
    names = [f"{layer}attention.self.{name}" for name in PROJECTIONS]
    matrix = np.concatenate([weights[f"{name}.weight"].T for name in names], axis=1)
    bias = np.concatenate([weights[f"{name}.bias"] for name in names])
    attended = graph.add(
        "Attention",
        [x, graph.matrix(f"{layer}projections", matrix), graph.constant(f"{layer}projections.bias", bias)],
        domain=MICROSOFT,
        num_heads=shape.heads,
    )
    taken = graph.linear(weights, f"{layer}attention.output.dense", attended)
    x = graph.norm(weights, f"{layer}attention.output.LayerNorm", shape, graph.add("Add", [taken, x]))
    bent = graph.add("Gelu", [graph.linear(weights, f"{layer}intermediate.dense", x)])
    mapped = graph.linear(weights, f"{layer}output.dense", bent)
    return graph.norm(weights, f"{layer}output.LayerNorm", shape, graph.add("Add", [mapped, x]))


def _pool(graph: _Graph, x: str) -> None:
    """The mean over tokens, scaled to length 1.

    As products of matrices, one for each text: reductions sum in another order where there are more texts.
    """
    transposed = graph.add("Transpose", [x], perm=[0, 2, 1])
    one, last = (graph.constant(name, np.array([at], np.int64)) for name, at in (("one", 1), ("last", 2)))
    length = graph.add("Shape", [x], start=1, end=2)
    ones = graph.add(
        "Expand",
        [graph.constant("unit", np.ones((1, 1), np.float32)), graph.add("Concat", [length, one], axis=0)],
    )
    total = graph.add("MatMul", [transposed, ones])
    square = graph.add("MatMul", [graph.add("Transpose", [total], perm=[0, 2, 1]), total])
    scaled = graph.add("Div", [total, graph.add("Sqrt", [square])])
    graph.add("Squeeze", [scaled, last], output=MEANING)


def _pack(blocks: NDArray[Any], *, axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Numbers as whole ones from -127 to 127, and what to multiply those of each block by."""
    scales = (np.abs(blocks).max(axis=axis, keepdims=True) / LARGEST).astype(np.float32)
    steps = np.rint(blocks / np.where(scales == 0, 1, scales))
    return np.clip(steps, -LARGEST, LARGEST).astype(np.int8), scales
