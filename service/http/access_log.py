"""A log line for each request, where it is wanted (`RATCHET_ACCESS_LOG`); nothing of it runs otherwise."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from time import perf_counter
from typing import Any

import orjson

from service.http.exchange import App, Receive, Scope, Send
from service.http.request_ids import NAME, request_id

MOST_IDS = 100
"""Prediction ids told in one line."""
_ANSWERING = ("/predict", "/recommend")

log = logging.getLogger("ratchet.access")


class AccessLog:
    """An application around another, which it tells of.

    A line has the id of the request, which the answer has too, and the ids of the predictions given.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, then tell."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name, started = request_id(scope), perf_counter()
        answer = _Answer(send, name, keep=scope["path"].endswith(_ANSWERING))
        try:
            await self._app(scope, receive, answer.send)
        finally:
            self._log(scope, name, answer, perf_counter() - started)

    def _log(self, scope: Scope, name: str, answer: _Answer, seconds: float) -> None:
        parts = scope["path"].split("/")
        ids = answer.prediction_ids()
        facts: dict[str, Any] = {
            "request_id": name,
            "method": scope["method"],
            "path": scope["path"],
            "use_case": parts[2] if parts[1:2] == ["v1"] and len(parts) > 3 else None,
            "status": answer.status,
            "seconds": round(seconds, 6),
            "predictions": len(ids),
            "prediction_ids": ids[:MOST_IDS],
        }
        status = "no answer" if answer.status is None else answer.status
        line = f"{scope['method']} {scope['path']}: {status} in {seconds:.4f} s, request {name}"
        log.info("%s", line + (f", predictions {' '.join(ids[:MOST_IDS])}" if ids else ""), extra=facts)


class _Answer:
    """What goes out, with the id of its request."""

    def __init__(self, send: Send, name: str, *, keep: bool) -> None:
        self._send = send
        self._name = name.encode()
        self._keep = keep
        self._parts: list[bytes] = []
        self.status: int | None = None

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [pair for pair in message.get("headers", ()) if pair[0] != NAME]
            message = {**message, "headers": [*headers, (NAME, self._name)]}
        elif self._keep:
            self._parts.append(message.get("body", b""))
        await self._send(message)

    def prediction_ids(self) -> list[str]:
        """Of the predictions in the answer, where it is one with predictions."""
        if self.status != 200 or not self._parts:
            return []
        content = orjson.loads(b"".join(self._parts))
        predictions = content.get("predictions", []) if isinstance(content, dict) else []
        return [prediction["id"] for prediction in predictions if "id" in prediction]
