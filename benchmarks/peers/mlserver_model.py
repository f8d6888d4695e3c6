"""An ONNX graph as a custom runtime of MLServer, which runs it in an environment of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from mlserver import MLModel  # type: ignore[import-not-found]
from mlserver.codecs import NumpyCodec, StringCodec  # type: ignore[import-not-found]
from mlserver.types import InferenceRequest, InferenceResponse  # type: ignore[import-not-found]


def array_of(tensor: Any) -> Any:
    """A tensor of a request as the graph takes it: images in [0, 1], texts as objects."""
    if tensor.datatype == "BYTES":
        return np.array(StringCodec.decode_input(tensor), object).reshape(tensor.shape)
    values = NumpyCodec.decode_input(tensor)
    if tensor.datatype == "UINT8":
        return values.reshape(-1, 28, 28, 1).astype(np.float32) / 255
    return values


class Graph(MLModel):  # type: ignore[misc]
    """A classifier."""

    async def load(self) -> bool:
        """Open the graph."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        uri = self.settings.parameters.uri
        self.session = onnxruntime.InferenceSession(uri, options, providers=["CPUExecutionProvider"])
        self.names = [one.name for one in self.session.get_inputs()]
        self.wanted = [self.session.get_outputs()[-1].name]
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Probabilities of n records."""
        feeds = dict(zip(self.names, map(array_of, payload.inputs), strict=True))
        outputs = [NumpyCodec.encode_output("scores", self.session.run(self.wanted, feeds)[0])]
        return InferenceResponse(model_name=self.name, outputs=outputs)
