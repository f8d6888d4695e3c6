"""Connections of a worker: no more than it can keep, none that is too slow, and cheap refusals.

uvicorn waits for ever for the rest of a request, and nothing that it calls could see that. So this is
its own protocol with a few marks added, looked over once a second. Where a worker has no room for a request,
refusing it here, as soon as its head was read, costs a fraction of what it costs in the application.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from http import HTTPStatus
from typing import Any, ClassVar

from uvicorn import config as uvicorn_config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from configs.settings import Settings
from service.errors import HeadTooLarge, Overloaded, ServiceError, SlowClient
from service.exchange import error_for
from service.front import Front

LOOK_SECONDS = 1.0
LEAST_BYTES = 16 * 1024
"""A second, that buys time for one more."""
MOST_HEAD = 64 * 1024
"""Bytes of the first line and the headers; the parser itself has no bound."""


def guard_connections(front: Front, settings: Settings) -> None:
    """Have uvicorn use `GuardedConnection` in this process: BentoML leaves it the choice."""
    GuardedConnection.front = front
    GuardedConnection.most = settings.max_connections
    GuardedConnection.patience = settings.slow_client_seconds
    uvicorn_config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{GuardedConnection.__name__}"


class _Refused:
    """Stands for the exchange of a request that was refused before it began: it is over."""

    response_complete = True
    message_event = asyncio.Event()


class GuardedConnection(HttpToolsProtocol):
    """One connection."""

    front: ClassVar[Front]
    most: ClassVar[int]
    patience: ClassVar[float]
    _looking: ClassVar[bool] = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take it in, or turn it away."""
        super().connection_made(transport)
        self._due = self.loop.time()
        """Since when something is due from the other side; 0: nothing is."""
        self._received = 0
        """Bytes of the body so far."""
        self._unread_since = 0.0
        self._unread = 0
        self._began = self._in_head = self._refused = False
        self._head = 0
        if not GuardedConnection._looking:
            GuardedConnection._looking = True
            self.loop.call_later(LOOK_SECONDS, _look_over, self.loop, self.connections)
        if len(self.connections) > self.most:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        """Something came; a head that does not end is cut off."""
        super().data_received(data)
        if self._in_head:
            self._head += len(data)
            if self._head > MOST_HEAD and not self.transport.is_closing():
                self._cut_off(HeadTooLarge(MOST_HEAD))

    def on_message_begin(self) -> None:
        """The head of a request begins."""
        super().on_message_begin()
        self._due, self._received, self._head = self.loop.time(), 0, 0
        self._began = self._in_head = True

    def on_headers_complete(self) -> None:
        """The head is whole; where there is no room for the request, that is said at once."""
        self._in_head = False
        if self.front.pressed is not None and (self.cycle is None or self.cycle.response_complete):
            refusal = self.front.refuses(self.parser.get_method().decode("ascii"), self.url.decode("ascii"))
            if refusal is not None:
                self._refuse(refusal)
                return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._received += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._due = 0.0
        if self._refused:
            self._refused = False
            self.on_response_complete()
        else:
            super().on_message_complete()

    def pause_writing(self) -> None:
        """Much of an answer is not read yet."""
        super().pause_writing()
        self._unread_since, self._unread = self.loop.time(), self.transport.get_write_buffer_size()

    def resume_writing(self) -> None:
        """Now it is."""
        super().resume_writing()
        self._unread_since = 0.0

    def look_over(self, now: float) -> None:
        """Cut off whoever is too slow."""
        if self.transport.is_closing():
            return
        if self._unread_since:
            read = max(0, self._unread - self.transport.get_write_buffer_size())
            if now - self._unread_since > self.patience + read / LEAST_BYTES:
                self.transport.abort()
        # What the server itself does not read yet is not the other side's fault.
        elif self._due and not self.flow.read_paused:
            allowed = self.patience + self._received / LEAST_BYTES
            if now - self._due > allowed:
                self._cut_off(SlowClient(allowed))

    def _refuse(self, error: Overloaded) -> None:
        if self.cycle is None:
            self.cycle = _Refused()
        if self.expect_100_continue or not self.parser.should_keep_alive():
            self.transport.write(_written(error, self.url, close=True))
            self.transport.close()
        else:
            self._refused = True
            self.transport.write(_written(error, self.url))

    def _cut_off(self, error: ServiceError) -> None:
        cycle = self.cycle
        answering = cycle is not None and not cycle.response_complete
        if self._began and not (answering and cycle.response_started):
            self.transport.write(_written(error, self.url, close=True))
        if answering:
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()

    def _make_room(self) -> None:
        """Close a connection on which nothing is going on: this one, if there is no other."""
        idle = next((one for one in self.connections if one is not self and _is_idle(one)), None)
        if idle is not None:
            idle.transport.close()
            self.connections.discard(idle)
        else:
            error = Overloaded(len(self.connections), self.most, "connections are open")
            self.transport.write(_written(error, close=True))
            self.transport.close()


def _is_idle(connection: Any) -> bool:
    cycle = connection.cycle
    return (cycle is None or bool(cycle.response_complete)) and not connection.transport.is_closing()


def _look_over(loop: asyncio.AbstractEventLoop, connections: set[Any]) -> None:
    now = loop.time()
    for connection in list(connections):
        if isinstance(connection, GuardedConnection):
            connection.look_over(now)
    if connections:
        loop.call_later(LOOK_SECONDS, _look_over, loop, connections)
    else:
        GuardedConnection._looking = False


@lru_cache(maxsize=4)  # one and the same refusal is written many times
def _written(error: ServiceError, url: bytes = b"", *, close: bool = False) -> bytes:
    """An answer as it goes over the wire."""
    body = error_for(error, url.decode("latin-1"))
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *error.headers]
    if close and not any(name == b"connection" for name, _ in headers):
        headers.append((b"connection", b"close"))
    head = b"".join(b"%b: %b\r\n" % pair for pair in headers)
    return b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (
        error.status,
        HTTPStatus(error.status).phrase.encode(),
        head,
        body,
    )
