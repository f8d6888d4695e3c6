"""What every request meets first: Ratchet's own routes, then BentoML's behind them.

The routes of this table skip BentoML's middlewares, which cost more than the answer itself
(docs/decisions/). Everything else that BentoML knows goes on to it unchanged, save that its
errors take the one shape. What nobody knows ends here, so that no metric grows by made-up paths.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, MutableMapping
from time import perf_counter
from typing import Any, Protocol

from configs.security.origins import OriginPolicy
from service.errors import (
    Failed,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    ServiceError,
    Unavailable,
    UnknownUseCase,
    origin_error,
)
from service.http.access import READING, Access
from service.http.admission import Admission, Relieve
from service.http.bentoml_app import reshaped, with_body
from service.http.cors import cors_headers, preflight
from service.http.direct import AtOnce, DirectExchange, KnownHeads, is_plain
from service.http.exchange import (
    ADMISSION,
    App,
    ClientGone,
    Headers,
    Receive,
    Reply,
    Scope,
    Send,
    Stream,
    error_for,
    read_body,
    send_error,
    send_reply,
    send_stream,
    stream_headers,
)
from service.http.query_params import ensure_known_keys
from service.http.request_ids import request_id, with_request_id

Handler = Callable[[Scope, Receive], Awaitable[bytes | Reply | Stream]]
"""Answers one request: JSON of a 200, a whole `Reply`, or a `Stream`."""
ALWAYS = frozenset({"/livez", "/readyz", "/metrics"})
"""BentoML's own paths that are answered however much is in hand; of ours, each route says so."""
ANY = "*"
"""Stands in the table for any one name before the last of a path."""
_USE_CASE_PATH = re.compile(r"^/(?:v1(?=/[^/]+/.)|v2/models)/([^/]+)")

log = logging.getLogger("ratchet.service")


class Route:
    """One path: a handler for each method, and a place to report to; what answers GET answers HEAD too.

    Args:
        full: whether more requests wait behind it than can be answered soon.
        always: answers however much is in hand.
        query: keys that its query may have; None: it may have any, as clients of other protocols and caches
            add some.
        at_once: answers small requests without ASGI, where its one method is POST.
    """

    def __init__(
        self,
        methods: Mapping[str, Handler],
        observe: Callable[[int, float], None] | None = None,
        full: Callable[[], bool] | None = None,
        *,
        always: bool = False,
        query: Collection[str] | None = None,
        at_once: AtOnce | None = None,
    ) -> None:
        self.at_once = at_once
        self.query = query
        self.methods = dict(methods)
        if "GET" in methods:  # the same headers; the server below sends no body
            self.methods.setdefault("HEAD", methods["GET"])
        self.observe = observe or (lambda _status, _seconds: None)
        self.full = full or (lambda: False)
        self.always = always


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

    @property
    def access(self) -> Access:
        """Who may do what."""

    @property
    def admission(self) -> Admission:
        """How much may be in hand."""


class Front:
    """The ASGI application around BentoML's."""

    def __init__(
        self,
        app: App,
        find_routes: Callable[[], Routes | None],
        passed: Callable[[str], bool],
        policy: OriginPolicy,
    ) -> None:
        self._app = app
        self._find_routes = find_routes
        self._passed = passed
        self._policy = policy
        self._routes: Routes | None = None
        self._table: Mapping[str, Route] = {}
        self._direct: Mapping[bytes, Route] = {}
        self.heads = KnownHeads()
        self.pressed: Overloaded | None = None
        """The last refusal for want of room, until there is room again."""
        self.relieve: Relieve | None = None
        """What makes room for a large body, where connections are kept."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        started = perf_counter()
        policy, reached = self._policy, scope["server"]
        refusal = policy.check(scope["method"], scope["headers"], reached[0] if reached else None)
        route = self._table.get(scope["path"]) or self._lookup(scope["path"])
        if policy.origins:
            send = _with_headers(send, cors_headers(policy, scope))
        if (routes := self._routes) is None:
            starting = Unavailable("the service is starting", retry_after=1)
            await send_error(send, starting if refusal is None else origin_error(refusal), scope["path"])
            return
        try:
            if refusal is not None:
                raise origin_error(refusal)
            status = await self._answer(routes, route, scope, receive, send)
        except ClientGone:
            return
        except ServiceError as error:
            status = await self._refuse(error, scope, send)
        except Exception:
            name, words = request_id(scope), "%s %s failed, request %s"
            log.exception(words, scope["method"], scope["path"], name, extra={"request_id": name})
            failed = Failed("an unexpected error; see the server's log")
            await send_error(send, failed, scope["path"], with_request_id(scope, ()))
            status = failed.status
        if route is not None and status is not None:
            route.observe(status, perf_counter() - started)

    async def _answer(
        self, routes: Routes, route: Route | None, scope: Scope, receive: Receive, send: Send
    ) -> int | None:
        """Answer whoever may ask; returns the status, None where no route of ours is to count it."""
        if self._policy.origins and (headers := preflight(self._policy, scope)) is not None:
            await send({"type": "http.response.start", "status": 204, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return None
        handler = None if route is None else route.methods.get(scope["method"])
        if routes.access.ring.closed:
            routes.access.admit(scope, handler is not None or self._passed(scope["path"]))
        if handler is None or route is None:
            await self._beyond(routes, route, scope, receive, send)
            return None
        if scope["query_string"] and route.query is not None:
            ensure_known_keys(scope, route.query)
        if route.always:
            answer = await handler(scope, receive)
        else:
            admission = scope[ADMISSION] = routes.admission
            admission.enter()
            try:
                answer = await handler(scope, receive)
            finally:  # not later: who is slow to read takes nobody's place
                admission.leave(scope)
        if isinstance(answer, bytes):
            await send_reply(send, 200, answer)
            return 200
        if isinstance(answer, Stream):
            if scope["method"] == "HEAD":  # nobody will listen
                await send({"type": "http.response.start", "status": 200, "headers": stream_headers(answer)})
                await send({"type": "http.response.body", "body": b""})
                return None
            await send_stream(receive, send, answer)
            return None  # how long somebody listened says nothing of the service
        await send_reply(send, answer.status, answer.body, answer.headers)
        return answer.status

    async def _refuse(self, error: ServiceError, scope: Scope, send: Send) -> int:
        """Send an error, with the id by which the caller may ask about it; returns its status."""
        self._note(error, request_id(scope))
        await send_error(send, error, scope["path"], with_request_id(scope, ()))
        return error.status

    def _note(self, error: ServiceError, name: str) -> None:
        """Remember a want of room, and log what is the server's own fault; `name` is the request's."""
        if isinstance(error, Overloaded):
            self.pressed = error.with_traceback(None)  # which would keep the request
        if isinstance(error, Failed):
            log.error("request %s is answered %s: %s", name, error.code, error, extra={"request_id": name})

    def find_direct(self, method: bytes, url: bytes, scope: Scope) -> DirectExchange | None:
        """The exchange of a request that needs no ASGI, once its head was read; None: the general way is its.

        Args:
            scope: as it is at that moment; told who asks.
        """
        route, routes, policy = self._direct.get(url), self._routes, self._policy
        if route is None or routes is None or route.at_once is None or method != b"POST" or policy.origins:
            return None
        reached, admission = scope["server"], routes.admission
        if (
            not is_plain(scope["headers"])
            or policy.check("POST", scope["headers"], reached[0] if reached else None) is not None
            or admission.in_flight >= admission.most
        ):
            return None
        scope["method"], scope["path"], scope["raw_path"] = "POST", url.decode("ascii"), url
        keys = routes.access.ring.version  # before it is asked: it may change meanwhile
        if routes.access.ring.closed:
            try:
                routes.access.admit(scope, True)
            except ServiceError:  # the general way says so
                return None
        return DirectExchange(route.at_once, route.observe, scope, keys)

    def find_known(self, data: bytes, server: Any) -> DirectExchange | None:
        """The same of a request that is all of `data`, without reading its head; None: it has to be read."""
        routes = self._routes
        if routes is None or routes.admission.in_flight >= routes.admission.most:
            return None
        return self.heads.find(data, server, routes.access.ring.version)

    def enter_direct(self) -> None:
        """Count a request that is being answered."""
        if self._routes is not None:
            self._routes.admission.in_flight += 1

    def leave_direct(self) -> None:
        """Count it no more."""
        if self._routes is not None:
            self._routes.admission.in_flight -= 1

    def put_into_words(self, error: BaseException, scope: Scope) -> tuple[int, bytes, Headers]:
        """Status, body and headers that tell somebody of an error, which is logged where it is ours."""
        name = request_id(scope)
        if not isinstance(error, ServiceError):
            words = "%s %s failed, request %s"
            log.error(words, scope["method"], scope["path"], name, exc_info=error, extra={"request_id": name})
            error = Failed("an unexpected error; see the server's log")
        else:
            self._note(error, name)
        body = error_for(error, scope["path"])
        return error.status, body, with_request_id(scope, error.headers)

    def answers_always(self, path: str) -> bool:
        """Whether a path is answered however much is in hand, over however many connections."""
        route = self._table.get(path)
        return path in ALWAYS if route is None else route.always

    def refuses(self, method: str, path: str) -> Overloaded | None:
        """Whether a request can only be refused for want of room, known before it costs anything."""
        route, routes = self._table.get(path), self._routes
        if (
            route is None
            or routes is None
            or route.always
            or method not in route.methods
            or self._policy.origins
        ):
            return None
        admission = routes.admission
        if admission.in_flight >= admission.most or route.full():
            route.observe(503, 0.0)
            return self.pressed
        self.pressed = None
        return None

    def _lookup(self, path: str) -> Route | None:
        """The slow first look, which also finds the table when the service has started."""
        if self._routes is None:
            self._routes = self._find_routes()
            self._table = self._routes.table if self._routes is not None else {}
            self._direct = {
                path.encode(): route for path, route in self._table.items() if route.at_once is not None
            }
            if self._routes is not None and self.relieve is not None:
                self._routes.admission.relieve = self.relieve
        folder, _, name = path.rpartition("/")
        below = self._routes.folders.get(folder) if self._routes is not None and name else None
        return below or self._table.get(path) or self._table.get(f"{folder.rpartition('/')[0]}/{ANY}/{name}")

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Start and stop go on to BentoML; nothing here speaks WebSocket."""
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self._app(scope, receive, send)

    async def _beyond(
        self, routes: Routes, route: Route | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """What is not in the table: BentoML's, or nothing."""
        method, path = scope["method"], scope["path"]
        if route is not None:
            raise MethodNotAllowed(method, path, route.methods)
        if not self._passed(path):
            named = _USE_CASE_PATH.match(path)
            if named is not None and named[1] not in routes.use_cases:
                raise UnknownUseCase(named[1], routes.use_cases)
            known = self._near_paths(path)
            raise NotFound(
                "GET" if method == "HEAD" else method, path, known
            )  # in the same words, so as long
        if method in READING:
            await self._app(scope, receive, reshaped(scope, send))
        else:
            await self._pass_work_on(routes.admission, scope, receive, send)

    def _near_paths(self, path: str) -> list[str]:
        """Paths of our own that may have been meant: of the same use case, or of none."""
        use_case = _USE_CASE_PATH.match(path)
        own = path[: use_case.end() + 1] if use_case is not None else ""
        folders = self._routes.folders if self._routes is not None else {}
        name = path.rpartition("/")[2]
        below = [f"{folder}/{name}" for folder in folders if folder.startswith(own)] if name else []
        if own:
            return [one for one in (*self._table, *below) if one.startswith(own) and ANY not in one]
        return [one for one in (*self._table, *below) if not _USE_CASE_PATH.match(one) and ANY not in one]

    async def _pass_work_on(self, admission: Admission, scope: Scope, receive: Receive, send: Send) -> None:
        """To BentoML, within the limits of our own routes."""
        admission.enter()
        scope[ADMISSION] = admission
        entered = True

        async def leave_and_send(message: MutableMapping[str, Any]) -> None:
            nonlocal entered
            if entered:
                entered = False
                admission.leave(scope)
            await send(message)

        try:
            body = await read_body(scope, receive, admission.largest)
            await self._app(scope, with_body(body, receive), reshaped(scope, leave_and_send))
        finally:
            if entered:
                admission.leave(scope)


def _with_headers(send: Send, headers: Headers) -> Send:
    """Add headers to whatever is answered."""

    async def send_with_headers(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *headers]}
        await send(message)

    return send_with_headers
