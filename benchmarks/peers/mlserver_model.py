"""The same model as a custom runtime of MLServer, which runs it in an environment of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from mlserver import MLModel  # type: ignore[import-not-found]
from mlserver.codecs import NumpyCodec  # type: ignore[import-not-found]
from mlserver.types import InferenceRequest, InferenceResponse  # type: ignore[import-not-found]


class Digits(MLModel):  # type: ignore[misc]
    """A digit classifier."""

    async def load(self) -> bool:
        """Open the model."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        uri = self.settings.parameters.uri
        self.session = onnxruntime.InferenceSession(uri, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Probabilities of n images."""
        images: Any = NumpyCodec.decode_input(payload.inputs[0])
        x = images.reshape(-1, 28, 28, 1).astype(np.float32) / 255
        scores = self.session.run(None, {self.input: x})[0]
        outputs = [NumpyCodec.encode_output("scores", scores)]
        return InferenceResponse(model_name=self.name, outputs=outputs)
