"""A bare uvicorn handler: decode, run the model, answer. It checks nothing, batches nothing, logs nothing.

`python -m benchmarks.peers.bare PORT MODEL.onnx`
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import onnxruntime
import orjson
import uvicorn


def make_app(model: str, classes: list[str]) -> Callable[..., Awaitable[None]]:
    """The application."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        images = [record["image"] for record in orjson.loads(body)["records"]]
        x = np.array(images, dtype=np.float32)[..., np.newaxis] / 255
        answers = [
            {"label": classes[int(row.argmax())], "scores": dict(zip(classes, row.tolist(), strict=True))}
            for row in session.run(None, {name: x})[0]
        ]
        content = orjson.dumps({"predictions": answers})
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    return app


if __name__ == "__main__":
    application = make_app(sys.argv[2], [str(digit) for digit in range(10)])
    uvicorn.run(application, port=int(sys.argv[1]), access_log=False, log_level="warning", lifespan="off")
