"""ONNX graphs of several models as one, whose answer is the weighted mean of theirs."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

OPSET = 15
"""Of the operators that join graphs, where the graphs themselves use none of that set."""
IR_VERSION = 8
INPUT, OUTPUT = "features", "probabilities"


def join_graphs(graphs: Sequence[tuple[str, float, Path]], path: Path) -> None:
    """Write one graph with the input of all and one output; a single graph is copied as it is.

    Args:
        graphs: name, weight and file of each; all have one input and one output of the same shapes.
        path: the file to write.
    """
    import onnx

    if len(graphs) == 1:
        shutil.copyfile(graphs[0][2], path)
        return
    models = [onnx.compose.add_prefix(onnx.load(str(file)), f"{name}/") for name, _, file in graphs]
    joined = _join(models, [weight for _, weight, _ in graphs])
    onnx.checker.check_model(joined, full_check=True)
    onnx.save(joined, str(path))


def _join(models: Sequence[Any], weights: Sequence[float]) -> Any:
    """The parts of all graphs side by side, before them one input, after them the mean."""
    from onnx import helper, numpy_helper

    graphs = [model.graph for model in models]
    before = [helper.make_node("Identity", [INPUT], [graph.input[0].name]) for graph in graphs]
    scaled = [f"share_{place}" for place in range(len(graphs))]
    mean = [
        helper.make_node("Mul", [graph.output[0].name, f"weight_{place}"], [scaled[place]])
        for place, graph in enumerate(graphs)
    ]
    mean.append(helper.make_node("Sum", scaled, ["mean"]))
    # Weights rounded to 32 bits may come to a little more than 1.
    mean.append(helper.make_node("Min", ["mean", "one"], [OUTPUT]))
    constants = {f"weight_{place}": weight for place, weight in enumerate(weights)} | {"one": 1.0}
    whole = helper.make_graph(
        [*before, *(node for graph in graphs for node in graph.node), *mean],
        "blend",
        [_renamed(graphs[0].input[0], INPUT)],
        [_renamed(graphs[0].output[0], OUTPUT)],
        [
            *(one for graph in graphs for one in graph.initializer),
            *(
                numpy_helper.from_array(np.array(value, np.float32), name)
                for name, value in constants.items()
            ),
        ],
        value_info=[info for graph in graphs for info in graph.value_info],
    )
    return helper.make_model(
        whole,
        functions=[function for model in models for function in model.functions],
        opset_imports=_opsets(models),
        ir_version=max(IR_VERSION, *(model.ir_version for model in models)),
    )


def _opsets(models: Sequence[Any]) -> list[Any]:
    """The newest version of each set of operators that is used."""
    from onnx import helper

    versions: dict[str, int] = {}
    for model in models:
        for one in model.opset_import:
            versions[one.domain] = max(one.version, versions.get(one.domain, 0))
    versions.setdefault("", OPSET)
    return [helper.make_opsetid(domain, version) for domain, version in versions.items()]


def _renamed(value: Any, name: str) -> Any:
    """The same type under another name."""
    from onnx import helper

    return helper.make_value_info(name, value.type)
