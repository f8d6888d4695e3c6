"""What lies behind Ratchet's own routes: BentoML's application, asked and answered in our terms."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

import orjson

from service.errors import error_body
from service.http.exchange import UNSHARED, Receive, Scope, Send, send_reply
from service.http.request_ids import with_request_id

POLICY = (
    b"content-security-policy",
    b"default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    b"base-uri 'none'; object-src 'none'; frame-ancestors 'none'",
)
"""BentoML's page carries a tracker (Google Tag Manager) that no setting turns off; browsers hold it back."""


def paths_of(app: Any) -> Callable[[str], bool]:
    """Whether a Starlette application has a route for a path; of mounted folders, files that exist."""
    exact: set[str] = set()
    for route in app.routes:
        folder = getattr(getattr(route, "app", None), "directory", None)
        if folder is not None:
            files = (path for path in Path(folder).rglob("*") if path.is_file())
            exact |= {f"{route.path}/{path.relative_to(folder).as_posix()}" for path in files}
        else:
            exact.add(route.path)
    return exact.__contains__


def with_body(body: bytes, receive: Receive) -> Receive:
    """A body that was read already, then whatever follows it."""
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def replay() -> MutableMapping[str, Any]:
        message = next(messages, None)
        return await receive() if message is None else message

    return replay


def reshaped(scope: Scope, send: Send) -> Send:
    """Pass answers on, allowed to reach this server only, and errors in the one shape."""
    start: MutableMapping[str, Any] = {}
    parts: list[bytes] = []

    async def reshape(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start" and message["status"] >= 400:
            start.update(message)
        elif not start:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), POLICY, *UNSHARED]}
            await send(message)
        else:
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                headers = [
                    pair for pair in start["headers"] if pair[0] not in (b"content-type", b"content-length")
                ]
                body = _translate(start["status"], b"".join(parts))
                await send_reply(send, start["status"], body, with_request_id(scope, headers))

    return reshape


_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "wrong_media_type",
    422: "invalid",
    429: "overloaded",
    503: "unavailable",
    504: "timeout",
}


def _translate(status: int, body: bytes) -> bytes:
    message: Any = body.decode("utf-8", "replace")
    details: dict[str, Any] = {}
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        content = None
    if isinstance(content, list) and content:  # BentoML wraps some of its errors in a list
        content = content[0]
    if isinstance(content, dict) and "error" in content:
        message = content["error"]
        details = {key: value for key, value in content.items() if key != "error"}
        if isinstance(problems := details.get("detail"), list):  # what pydantic found
            message = "; ".join(f"field '{'.'.join(map(str, one['loc']))}': {one['msg']}" for one in problems)
    return error_body(_CODES.get(status, "internal" if status >= 500 else "refused"), str(message), details)
