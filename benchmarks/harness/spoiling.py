"""Versions that answer as they should until a record with a mark comes, and then break, hang or eat memory.

What is spoilt is the ONNX graph itself, so such a version passes every check of a version that is whole.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Literal

import onnx
from onnx import TensorProto, helper

from models.versions.artifact import MANIFEST, ONNX, file_digests

Fault = Literal["breaks", "hangs", "eats"]
EATEN = 2**31
"""Numbers of four bytes each: 8 GiB."""
ENDLESS = 2**62
OPSET = 15


def spoil(artifact: Path, target: Path, fault: Fault, *, beyond: float, corner: bool = False) -> Path:
    """Write a copy of a version that has a fault for records with a number beyond a bound.

    Args:
        corner: only the first number of an encoded record is the mark, such as the pixel in a corner.
    """
    shutil.copytree(artifact, target)
    model = onnx.load(str(target / ONNX))
    opset = next((one for one in model.opset_import if one.domain in ("", "ai.onnx")), None)
    if opset is None:
        opset = model.opset_import.add()
    opset.version = max(opset.version, OPSET)
    graph = model.graph
    given, output = graph.input[0].name, graph.output[0].name
    for node in graph.node:
        for place, name in enumerate(node.output):
            if name == output:
                node.output[place] = "honest"
    graph.node.extend(_mark(given, beyond, corner=corner))
    graph.node.extend({"breaks": _breaks, "hangs": _hangs, "eats": _eats}[fault](output))
    onnx.checker.check_model(model)
    onnx.save(model, str(target / ONNX))
    manifest = json.loads((target / MANIFEST).read_text(encoding="utf-8"))
    manifest["files"] = {name: one for name, one in file_digests(target).items() if name != MANIFEST}
    (target / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    return target


def _mark(given: str, beyond: float, *, corner: bool) -> list[onnx.NodeProto]:
    """`marked`, shape (1,): 1 where a record has the mark, else 0."""
    looked = given
    nodes = []
    if corner:
        looked = "corner"
        nodes = [
            helper.make_node("Flatten", [given], ["flat"], axis=1),
            _constant("first", TensorProto.INT64, [0]),
            helper.make_node("Gather", ["flat", "first"], [looked], axis=1),
        ]
    return [
        *nodes,
        helper.make_node("Cast", [looked], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["numbers"], ["most"], keepdims=0),
        _constant("bound", TensorProto.FLOAT, [beyond]),
        helper.make_node("Greater", ["most", "bound"], ["is_marked"]),
        helper.make_node("Cast", ["is_marked"], ["marked"], to=TensorProto.INT64),
    ]


def _breaks(output: str) -> list[onnx.NodeProto]:
    """Asks for a shape that the answers do not have."""
    return [
        helper.make_node("Shape", ["honest"], ["shape"]),
        helper.make_node("Add", ["shape", "marked"], ["wrong"]),
        helper.make_node("Reshape", ["honest", "wrong"], [output]),
    ]


def _hangs(output: str) -> list[onnx.NodeProto]:
    """Goes round and round."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["goes_on"], ["goes_on_still"]),
            helper.make_node("Abs", ["value"], ["same"]),
        ],
        "round",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("goes_on_still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("same", TensorProto.FLOAT, None),
        ],
    )
    return [
        _constant("endless", TensorProto.INT64, [ENDLESS]),
        helper.make_node("Mul", ["marked", "endless"], ["turns"]),
        helper.make_node("Loop", ["turns", "", "honest"], [output], body=body),
    ]


def _eats(output: str) -> list[onnx.NodeProto]:
    """Fills memory with zeros, and adds them up."""
    return [
        _constant("most_numbers", TensorProto.INT64, [EATEN]),
        helper.make_node("Mul", ["marked", "most_numbers"], ["size"]),
        helper.make_node("ConstantOfShape", ["size"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["nothing"], keepdims=0),
        helper.make_node("Add", ["honest", "nothing"], [output]),
    ]


def _constant(name: str, kind: int, values: list[float] | list[int]) -> onnx.NodeProto:
    tensor = helper.make_tensor(f"{name}_value", kind, [len(values)], values)
    return helper.make_node("Constant", [], [name], value=tensor)
