"""ASGI middleware in front of MLflow's and Prefect's servers: the rule of `configs.security.origins`.

Both are ASGI applications that run in a process of ours, so every request and every WebSocket passes here
first. What they check by themselves stays on behind it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from configs.security.origins import Header, OriginPolicy, Refusal
from configs.settings import Settings

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"same-origin"),
)
"""Keep pages of other sites from framing and embedding what is answered."""
POLICY_VIOLATION = 1008
MOST_LOGGED = 100
"""Different refusals that are logged, each once: a page that goes on asking must not fill the disk."""

log = logging.getLogger("ratchet.guard")


def own_origins(port: int) -> tuple[str, ...]:
    """Origins of the pages of a loopback server: people type either name."""
    return tuple(f"http://{name}:{port}" for name in ("127.0.0.1", "localhost"))


def guard_app(
    app: App, settings: Settings, port: int, origins: str = "", headers: Sequence[Header] = ()
) -> Guard:
    """The application of a loopback server behind the rule.

    Args:
        origins: what the server's own variable for other sites' pages says, separated by commas. A `*` there
            lets nobody in: it would let in everybody.
        headers: what every answer carries beside `HEADERS`.
    """
    other_origins = [origin.strip() for origin in origins.split(",") if origin.strip() not in ("", "*")]
    return Guard(
        app, OriginPolicy(settings.allowed_hosts, [*own_origins(port), *other_origins]), (*HEADERS, *headers)
    )


class BlockPaths:
    """ASGI middleware that answers 404 on some paths.

    Args:
        blocked: paths; those below them are blocked too.
    """

    def __init__(self, app: App, blocked: Sequence[str]) -> None:
        self._app = app
        self._blocked = tuple(blocked)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on requests to other paths."""
        if scope["type"] == "lifespan" or not self.blocks(scope["path"]):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        else:
            await _send_text(send, 404, "this server leaves this part out\n")

    def blocks(self, path: str) -> bool:
        """Whether a path is blocked."""
        return any(path == prefix or path.startswith(f"{prefix}/") for prefix in self._blocked)


class Guard:
    """ASGI middleware that answers 403 to requests that the rule refuses."""

    def __init__(self, app: App, policy: OriginPolicy, headers: Sequence[Header] = HEADERS) -> None:
        self._app = app
        self._policy = policy
        self._headers = tuple(headers)
        self._logged: set[Refusal] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on requests that the rule lets in."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refusal = self._policy.check(scope.get("method", "GET"), scope["headers"])
        if refusal is None:
            await self._app(scope, receive, _with_headers(send, self._headers))
            return
        self._note(scope, refusal)
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": refusal.header})
        else:
            await _send_text(send, 403, f"{refusal.message}\n")

    def _note(self, scope: Scope, refusal: Refusal) -> None:
        if refusal not in self._logged and len(self._logged) < MOST_LOGGED:
            self._logged.add(refusal)
            log.warning("%s %.200r is refused: %s", scope["type"], scope["path"], refusal.message)


async def _send_text(send: Send, status: int, text: str) -> None:
    body = text.encode("utf-8", "replace")
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        *HEADERS,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _with_headers(send: Send, headers: Sequence[Header]) -> Send:
    """Add ours to what is answered, where the application has not said otherwise."""

    async def add(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message.get("headers", ())}
            added = [pair for pair in headers if pair[0] not in present]
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        await send(message)

    return add
