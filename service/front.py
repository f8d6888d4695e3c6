"""What every request meets first: Ratchet's own routes, then BentoML's behind them.

The routes of this table skip BentoML's middlewares, which cost more than the answer itself
(docs/decisions/). Everything else that BentoML knows goes on to it unchanged, save that its
errors take the one shape. What nobody knows ends here, so that no metric grows by made-up paths.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import orjson

from service.errors import (
    Failed,
    MethodNotAllowed,
    NotFound,
    ServiceError,
    UnknownUseCase,
    WrongMediaType,
    error_body,
)
from service.exchange import (
    App,
    ClientGone,
    Receive,
    Reply,
    Scope,
    Send,
    Stream,
    header,
    may_be_json,
    send_error,
    send_reply,
    send_stream,
)

Handler = Callable[[Scope, Receive], Awaitable[bytes | Reply | Stream]]
"""Answers one request: JSON of a 200, a whole `Reply`, or a `Stream`."""
POLICY = (
    b"content-security-policy",
    b"default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:",
)
"""BentoML's page carries a tracker (Google Tag Manager) that no setting turns off; browsers hold it back."""
ANY = "*"
"""Stands in the table for any one name before the last of a path."""
_USE_CASE_PATH = re.compile(r"^/(?:v1(?=/[^/]+/.)|v2/models)/([^/]+)")

log = logging.getLogger("ratchet.service")


class Route:
    """One path: a handler for each method, and a place to report to."""

    def __init__(
        self, methods: Mapping[str, Handler], observe: Callable[[int, float], None] | None = None
    ) -> None:
        self.methods = dict(methods)
        self.observe = observe or (lambda _status, _seconds: None)


class Routes(Protocol):
    """Where the front finds its routes, once the service has started."""

    @property
    def table(self) -> Mapping[str, Route]:
        """Path to route."""

    @property
    def folders(self) -> Mapping[str, Route]:
        """Path to the route of whatever one name is below it."""

    @property
    def use_cases(self) -> Iterable[str]:
        """Names of those served."""


class Front:
    """The ASGI application around BentoML's."""

    def __init__(
        self, app: App, find_routes: Callable[[], Routes | None], passed: Callable[[str], bool]
    ) -> None:
        self._app = app
        self._find_routes = find_routes
        self._passed = passed
        self._routes: Routes | None = None
        self._table: Mapping[str, Route] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        route = self._table.get(scope["path"]) or self._lookup(scope["path"])
        if route is None:
            await self._beyond(scope, receive, send)
            return
        try:
            handler = route.methods.get(scope["method"])
            if handler is None:
                raise MethodNotAllowed(scope["method"], scope["path"], route.methods)
            answer = await handler(scope, receive)
            status = 200
            if isinstance(answer, bytes):
                await send_reply(send, 200, answer)
            elif isinstance(answer, Stream):
                await send_stream(receive, send, answer)
                return  # how long somebody listened says nothing of the service
            else:
                status = answer.status
                await send_reply(send, status, answer.body, answer.headers)
        except ServiceError as error:
            status = error.status
            await send_error(send, error, scope["path"])
        except ClientGone:
            return
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            status = 500
            await send_error(send, Failed("an unexpected error; see the server's log"), scope["path"])
        route.observe(status, perf_counter() - started)

    def _lookup(self, path: str) -> Route | None:
        """The slow first look, which also finds the table when the service has started."""
        if self._routes is None:
            self._routes = self._find_routes()
            self._table = self._routes.table if self._routes is not None else {}
        folder, _, name = path.rpartition("/")
        below = self._routes.folders.get(folder) if self._routes is not None and name else None
        return below or self._table.get(path) or self._table.get(f"{folder.rpartition('/')[0]}/{ANY}/{name}")

    async def _beyond(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._passed(scope["path"]):
            kind = header(scope, b"content-type")
            if scope["method"] == "POST" and kind is not None and not may_be_json(kind.encode("latin-1")):
                # BentoML would also read forms, on which it breaks, and pickles.
                await send_error(send, WrongMediaType(kind, "application/json"))
                return
            await self._app(scope, receive, _reshaped(send))
            return
        named = _USE_CASE_PATH.match(scope["path"])
        known = list(self._routes.use_cases) if self._routes is not None else []
        if named is not None and named[1] not in known:
            await send_error(send, UnknownUseCase(named[1], known), scope["path"])
        else:
            await send_error(send, NotFound(scope["method"], scope["path"]), scope["path"])


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


def _reshaped(send: Send) -> Send:
    """Pass answers on, allowed to reach this server only, and errors in the one shape."""
    held: MutableMapping[str, Any] = {}
    parts: list[bytes] = []

    async def reshape(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start" and message["status"] >= 400:
            held.update(message)
        elif not held:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), POLICY]}
            await send(message)
        else:
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                kept = [
                    pair for pair in held["headers"] if pair[0] not in (b"content-type", b"content-length")
                ]
                await send_reply(send, held["status"], _translate(held["status"], b"".join(parts)), kept)

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
