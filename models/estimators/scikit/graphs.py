"""A fitted classifier as an ONNX graph, by the converters of skl2onnx and onnxmltools.

They follow scikit-learn's, LightGBM's and XGBoost's releases from a distance: whoever asks compares the
answers, and takes the classifier itself where there is no converter or it answers otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import NoExport
from models.estimators.scikit.converters import imported_boosters, register_converters

OPSETS = {"": 17, "ai.onnx.ml": 3}
IR_VERSION = 8
ROWS, ANSWERS, PLACES = "rows", "probabilities", "places"


def write_graph(
    model: Any, path: Path, *, shape: Sequence[int], classes: Sequence[int], n_classes: int
) -> None:
    """Write a graph with one input (n, *shape) and one output (n, n_classes).

    Args:
        model: a fitted classifier, or trees of `models.estimators.scikit.boosters`.
        path: the file to write.
        shape: of one encoded row.
        classes: numbers of the classes that it learned; the others get probability 0.
        n_classes: number of all.

    Raises:
        NoExport: it has no such form.
    """
    import onnx

    width = int(np.prod(shape))
    try:
        graph = _converted(model, width)
    except ImportError as error:
        raise NoExport(f"{error.name or error} is not installed") from error
    except Exception as error:
        reason = str(error).strip().split("\n")[0][:120]
        raise NoExport(f"no converter for it ({type(error).__name__}: {reason})") from error
    _keep_probabilities(graph, shape, classes, n_classes)
    onnx.checker.check_model(graph)
    onnx.save(graph, str(path))


def _converted(model: Any, width: int) -> Any:
    form = getattr(model, "form", None)
    if form is not None:
        from onnxmltools.convert import convert_lightgbm, convert_xgboost
        from onnxmltools.convert.common.data_types import FloatTensorType

        types = [(ROWS, FloatTensorType([None, width]))]
        if form == "lightgbm":
            return convert_lightgbm(model.booster, initial_types=types, zipmap=False)
        return convert_xgboost(model.booster, initial_types=types)
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType as Floats

    register_converters(*imported_boosters())
    types = [(ROWS, Floats([None, width]))]
    return to_onnx(model, initial_types=types, options={"zipmap": False}, target_opset=OPSETS)


def _keep_probabilities(graph: Any, shape: Sequence[int], classes: Sequence[int], n_classes: int) -> None:
    """Leave one input and one output; drop what serves neither, and what names the hour of the fit."""
    from onnx import TensorProto, helper, numpy_helper

    body = graph.graph
    if len(body.output) != 2:
        raise NoExport("its converter gives no probabilities")
    given, answers = body.input[0].name, body.output[1].name
    nodes = list(body.node)
    if len(shape) > 1:
        for node in nodes:
            node.input[:] = ["flat_rows" if name == given else name for name in node.input]
        nodes.insert(0, helper.make_node("Flatten", [given], ["flat_rows"], axis=1))
    if list(classes) != list(range(n_classes)):
        places = np.eye(n_classes, dtype=np.float32)[list(classes)]
        body.initializer.append(numpy_helper.from_array(places, PLACES))
        nodes.append(helper.make_node("MatMul", [answers, PLACES], [ANSWERS + "_of_all"]))
        answers = ANSWERS + "_of_all"
    kept, needed = [], {answers}
    for node in reversed(nodes):
        if needed & set(node.output):
            kept.append(node)
            needed |= set(node.input)
    for field, content in (
        (body.node, kept[::-1]),
        (body.input, [helper.make_tensor_value_info(given, TensorProto.FLOAT, ["N", *shape])]),
        (body.output, [helper.make_tensor_value_info(answers, TensorProto.FLOAT, ["N", n_classes])]),
        (body.value_info, []),
        (graph.metadata_props, []),
    ):
        del field[:]
        field.extend(content)
    if not any(one.domain == "" for one in graph.opset_import):
        graph.opset_import.append(helper.make_opsetid("", OPSETS[""]))
    graph.ir_version = max(graph.ir_version, IR_VERSION)
