"""The same model as a plain BentoML service: one API as it is, one with BentoML's adaptive batching."""

from __future__ import annotations

import os
from typing import Annotated, Any

import bentoml
import numpy as np
import onnxruntime
from bentoml.validators import DType, Shape

CLASSES = [str(digit) for digit in range(10)]
Images = Annotated[np.ndarray, Shape((-1, 28, 28)), DType("uint8")]


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Stock:
    """A digit classifier."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        model = os.environ["BENCH_MODEL"]
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name

    def answer(self, images: Any) -> list[dict[str, Any]]:
        """Labels and scores of n images."""
        x = images[..., np.newaxis].astype(np.float32) / 255
        return [
            {"label": CLASSES[int(row.argmax())], "scores": dict(zip(CLASSES, row.tolist(), strict=True))}
            for row in self.session.run(None, {self.input: x})[0]
        ]

    @bentoml.api  # type: ignore[untyped-decorator]
    def predict(self, images: Images) -> list[dict[str, Any]]:
        """Answer each request on its own."""
        return self.answer(images)

    @bentoml.api(batchable=True)  # type: ignore[untyped-decorator]
    def batched(self, images: Images) -> list[dict[str, Any]]:
        """Answer requests in batches."""
        return self.answer(images)
