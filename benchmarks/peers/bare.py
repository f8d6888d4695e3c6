"""A bare uvicorn handler: decode, run the model, answer. It checks nothing, batches nothing, logs nothing.

`python -m benchmarks.peers.bare PORT KIND MODEL.onnx`
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import uvicorn

from benchmarks.peers.graph import Graph


def make_app(graph: Graph) -> Callable[..., Awaitable[None]]:
    """The application."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        content = orjson.dumps({"predictions": graph.answers(orjson.loads(body)["records"])})
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    return app


if __name__ == "__main__":
    application = make_app(Graph(sys.argv[2], Path(sys.argv[3])))
    uvicorn.run(application, port=int(sys.argv[1]), access_log=False, log_level="warning", lifespan="off")
