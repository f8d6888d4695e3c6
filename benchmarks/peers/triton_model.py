"""An ONNX graph as a model of Triton's Python backend: all requests of a batch are one call."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as triton  # type: ignore[import-not-found]


def array_of(tensors: list[Any]) -> Any:
    """The same tensor of some requests as the graph takes it: images in [0, 1], texts as objects."""
    values = np.concatenate([tensor.as_numpy() for tensor in tensors])
    if values.dtype == object:
        return np.array([text.decode() for text in values.ravel()], object).reshape(values.shape)
    if values.dtype == np.uint8:
        return values.reshape(-1, 28, 28, 1).astype(np.float32) / 255
    return values


class TritonPythonModel:
    """A classifier."""

    def initialize(self, args: dict[str, str]) -> None:
        """Open the graph."""
        config = json.loads(args["model_config"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        path = config["parameters"]["graph"]["string_value"]
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.inputs = [one["name"] for one in config["input"]]
        self.names = [one.name for one in self.session.get_inputs()]
        self.wanted = [self.session.get_outputs()[-1].name]

    def execute(self, requests: list[Any]) -> list[Any]:
        """Probabilities of the records of each request."""
        tensors = [
            [triton.get_input_tensor_by_name(request, name) for request in requests] for name in self.inputs
        ]
        feeds = dict(zip(self.names, map(array_of, tensors), strict=True))
        scores = self.session.run(self.wanted, feeds)[0]
        ends = np.cumsum([len(tensor.as_numpy()) for tensor in tensors[0]])[:-1]
        return [triton.InferenceResponse([triton.Tensor("scores", part)]) for part in np.split(scores, ends)]
