"""Connections of a worker: no more than it can keep, cheap refusals, and small requests answered at once.

Where a worker has no room for a request, refusing it here, as soon as its head was read, costs a fraction of
what it costs in the application. A worker that has all the connections that it can keep closes one that only
waits for its client (`service.http.connections.shedding`): whoever sends a whole request at once is answered,
however many others do not.
"""

from __future__ import annotations

import asyncio
import logging
from time import perf_counter
from typing import Any, ClassVar, cast

from uvicorn import config as uvicorn_config

from configs.settings import Settings
from service.errors import HeadTooLarge, Overloaded
from service.http.connections.patience import PatientConnection
from service.http.connections.refusals import written
from service.http.connections.shedding import Ranking, slowest_body
from service.http.direct import LONGEST_HEAD, DirectExchange, write_answer
from service.http.exchange import SMALL_BODY, Headers, Scope
from service.http.front import Front

MOST_AT_ONCE = SMALL_BODY + LONGEST_HEAD
"""Bytes of a request whose head may be known."""
TIMER_SECONDS = 0.01
"""By so much a timer may be early."""
MOST_HEAD = 64 * 1024
"""Bytes of the first line and the headers; the parser itself has no bound."""
SPARE = 64
"""Connections beyond the bound, on which a worker that is busy on all others still tells of its health."""

log = logging.getLogger("ratchet.service")


def guard_connections(front: Front, settings: Settings) -> None:
    """Have uvicorn use `GuardedConnection` in this process: BentoML leaves it the choice."""
    GuardedConnection.front = front
    GuardedConnection.most = settings.max_connections
    GuardedConnection.patience = settings.slow_client_seconds
    GuardedConnection.direct = not settings.access_log  # which is told of by an application around the front
    front.relieve = relieve
    uvicorn_config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{GuardedConnection.__name__}"


def relieve(asking: str, room: int, error: Overloaded) -> bool:
    """Drop the large body that comes the slowest, if it does, in favour of an address that asks for room."""
    connection = slowest_body(GuardedConnection.every, asking, room, asyncio.get_running_loop().time())
    if connection is not None:
        connection.shed(error)
    return connection is not None


class _Refused:
    """Stands for the exchange of a request that was refused before it began: it is over."""

    response_complete = True
    message_event = asyncio.Event()


class Asking:
    """Who asked last. One that asks again, when no other has since, is alone.

    An object of its own: setting an attribute of a class makes Python forget what it knows of its methods.
    """

    last: GuardedConnection | None = None


class GuardedConnection(PatientConnection):
    """One connection, on which a request is refused, answered at once, or handed on."""

    front: ClassVar[Front]
    most: ClassVar[int]
    direct: ClassVar[bool] = True
    """Whether requests may go without ASGI."""
    ranking: ClassVar[Ranking[GuardedConnection]] = Ranking()
    every: ClassVar[set[GuardedConnection]] = set()
    """Those of this worker that are open."""
    asking: ClassVar[Asking] = Asking()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take it in, or turn it away."""
        super().connection_made(transport)
        self._in_head = self._refused = self._late = False
        self._head = 0
        self._direct: DirectExchange | None = None
        """What goes without ASGI, until it is whole."""
        self._in_message = self._general = False
        """Whether a request has begun and is not whole; whether the next one has to go the general way."""
        self._begun: DirectExchange | None = None
        """What was begun by what is being read, and keeps the connection."""
        self._idle_since = 0.0
        self._unreadable: str | None = None
        """What is to be said of what came behind requests that are being answered."""
        if GuardedConnection.every is not self.connections:  # as setting it makes Python forget: see `Asking`
            GuardedConnection.every = cast("set[GuardedConnection]", self.connections)
        if len(self.connections) > self.most and not self._make_room():
            self._late = True
            if len(self.connections) > self.most + SPARE:
                self.transport.write(written(self._too_many(), close=True))
                self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        super().connection_lost(exc)
        if self.asking.last is self:
            self.asking.last = None

    def data_received(self, data: bytes) -> None:
        """Something came; a head that does not end is cut off."""
        fresh = not self._in_message
        if fresh and len(data) <= MOST_AT_ONCE and self._begin_known(data):
            return
        super().data_received(data)
        if self._begun is not None:
            if fresh:
                self.front.heads.remember(data, self._begun)
            self._begun = None
        if self._in_head:
            self._head += len(data)
            if self._head > MOST_HEAD and not self.transport.is_closing():
                self._cut_off(HeadTooLarge(MOST_HEAD))

    def on_message_begin(self) -> None:
        """The head of a request begins."""
        super().on_message_begin()
        self.since, self.received, self._counted, self._earned, self._head = self.loop.time(), 0, 0, 0.0, 0
        self._due = self._began = self._in_head = self._in_message = True
        self.asking.last = self

    def on_headers_complete(self) -> None:
        """The head is whole; where there is no room for the request, that is said at once."""
        self._in_head = False
        if self.cycle is None or self.cycle.response_complete:
            if self._late or self.front.pressed is not None:
                refusal = self._refusal()
                if refusal is not None:
                    self._refuse(refusal)
                    return
            general, self._general = self._general, False
            if self.direct and not general and not self.flow.write_paused and self.limit_concurrency is None:
                self._direct = self.front.find_direct(
                    self.parser.get_method(), self.url, cast(Scope, self.scope)
                )
                if self._direct is not None:
                    self.cycle = cast(Any, self._direct)
                    return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self.received += len(body)
        if self._direct is not None:
            self._direct.body += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._due = self._in_message = False
        if self._refused:
            self._refused = False
            self.on_response_complete()
        elif self._direct is not None:
            exchange, self._direct = self._direct, None
            self._go(exchange)
        else:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """A request is answered."""
        super().on_response_complete()
        self._idle_since = self.loop.time()
        if self._unreadable is not None and not self._has_whole_request() and not self.transport.is_closing():
            super().send_400_response(self._unreadable)

    def send_400_response(self, msg: str) -> None:
        """Say that what came cannot be read: after the answers to what came before it, and was read."""
        if self._has_whole_request():
            self._unreadable = msg
            self.flow.pause_reading()
        else:
            super().send_400_response(msg)

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that was idle for so long; direct requests do not set a timer anew each."""
        self.timeout_keep_alive_task = None
        if self._in_message or self._is_answering():
            return  # it is set when that is answered
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > TIMER_SECONDS:
            self._set_timer(left)
        else:
            super().timeout_keep_alive_handler()

    def _begin_known(self, data: bytes) -> bool:
        """Have a request answered that is all of `data` and whose head is known; False: it is to be read."""
        if (
            self._is_answering()
            or self._late
            or self.front.pressed is not None
            or self.flow.write_paused
            or not self.direct
            or self.transport.is_closing()
        ):
            return False
        exchange = self.front.find_known(data, self.server)
        if exchange is None:
            return False
        alone = self.asking.last is self
        self.asking.last = self
        before, self.cycle, self.url = self.cycle, cast(Any, exchange), exchange.scope["raw_path"]
        self.since, self.received, self._counted, self._earned = self.loop.time(), len(exchange.body), 0, 0.0
        self._due, self._began = False, True
        if not self._begin(exchange, alone=alone):
            self.cycle, self._general = before, True
            return False
        return True

    def _begin(self, exchange: DirectExchange, *, alone: bool = False) -> bool:
        """Have a request answered, at once where its caller is alone; False: it has to go the general way."""
        exchange.answer = self._answer
        self.front.enter_direct()
        try:
            begun = exchange.at_once(exchange.body, exchange, alone)
        except Exception:  # noqa: BLE001 - what it is, the general way finds again and tells
            begun = False
        if not begun:
            self.front.leave_direct()
        return begun

    def _go(self, exchange: DirectExchange) -> None:
        """Have a request answered that is whole."""
        exchange.keep_alive = self.parser.should_keep_alive() and self.parser.get_http_version() == "1.1"
        if self._begin(exchange):
            self._begun = exchange if exchange.keep_alive else None
        else:
            self.cycle = cast(Any, None)
            super().on_headers_complete()
            super().on_body(exchange.body)
            super().on_message_complete()

    def _answer(self, exchange: DirectExchange, answer: Any, error: Exception | None) -> None:
        """Send what came of a request; others are answered after it, so nothing is raised."""
        self.front.leave_direct()
        exchange.response_complete = True
        try:
            status, body, headers = (
                (200, answer.body, ())
                if error is None
                else self.front.put_into_words(error, dict(exchange.scope))
            )
            if not exchange.disconnected and not self.transport.is_closing():
                self._send(exchange, status, body, headers)
            exchange.observe(status, perf_counter() - exchange.started)
        except Exception:
            log.exception("a request could not be answered")
            self.transport.abort()

    def _send(self, exchange: DirectExchange, status: int, body: bytes, headers: Headers) -> None:
        defaults = self.server_state.default_headers
        written, stays = write_answer(defaults, status, body, headers, keep=exchange.keep_alive)
        self.transport.write(written)
        if not stays:
            self.transport.close()
        if self.pipeline or self.flow.read_paused or self.timeout_keep_alive_task is None or not stays:
            self.on_response_complete()
        else:  # the same, but for a new timer
            self.server_state.total_requests += 1
            self._idle_since = self.loop.time()

    def _set_timer(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _make_room(self) -> bool:
        """Close a connection on which the other side is waited for; returns whether there was one."""
        connection = self.ranking.take(self.every, self, self.loop.time())
        if connection is None:
            return False
        connection.shed(self._too_many())
        return True

    def _refusal(self) -> Overloaded | None:
        """Why there is no room for the request whose head has come; None where there is."""
        path = self.url.decode("ascii")
        if self._late and not self.front.answers_always(path.partition("?")[0]):
            if len(self.connections) > self.most and not self._make_room():
                return self._too_many()
            self._late = False
        if self.front.pressed is None:
            return None
        return self.front.refuses(self.parser.get_method().decode("ascii"), path)

    def _too_many(self) -> Overloaded:
        return Overloaded(len(self.connections), self.most, "connections are open")

    def _refuse(self, error: Overloaded) -> None:
        if self.cycle is None:
            self.cycle = _Refused()
        bare = self.parser.get_method() == b"HEAD"
        if self.expect_100_continue or not self.parser.should_keep_alive():
            self.transport.write(written(error, self.url, close=True, bare=bare))
            self.transport.close()
        else:
            self._refused = True
            self.transport.write(written(error, self.url, bare=bare))

    def _has_whole_request(self) -> bool:
        """Whether one is being answered, or waits for that, of which nothing is due."""
        if self.pipeline:
            return True
        return self._is_answering() and self._direct is None and not getattr(self.cycle, "more_body", False)
