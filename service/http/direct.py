"""Requests that go from their connection to a batch and back without ASGI: small JSON, asked plainly.

A task, a scope and an exchange of messages cost more than reading a request does. What is sent thousands of
times a second needs none of them: its body is short and comes at once, and its answer is one piece. Whatever
else a request is (compressed, from a page, with labels, refused) goes the general way, by `Front`, which is
where it is decided and put into words what becomes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from http import HTTPStatus
from time import perf_counter
from typing import Any, ClassVar, Protocol

from service.http.exchange import JSON, SMALL_BODY, UNSHARED, Headers, Scope

_GENERAL = frozenset(
    {
        b"transfer-encoding", b"content-encoding", b"expect", b"upgrade", b"connection",
        b"origin", b"sec-fetch-site",
    }
)  # fmt: skip
"""Headers of which something may follow."""
_KEPT = b"keep-alive"
HEAD_END = b"\r\n\r\n"
LONGEST_HEAD, _MOST_HEADS = 1024, 1024
"""Heads that are remembered."""
_LONGEST_LENGTH = len(str(SMALL_BODY))


class Waiter(Protocol):
    """Who is told what came of a request, as a future is; on the event loop."""

    def done(self) -> bool:
        """Whether it waits no more."""

    def set_result(self, result: Any, /) -> None:
        """What it waits for, whose `body` is JSON."""

    def set_exception(self, error: Exception, /) -> None:
        """Why there will be none."""


AtOnce = Callable[[bytes, Waiter, bool], bool]
"""Begins to answer a body, of a caller who is alone or is not; False where the request has to go the general
way, as it has where this raises."""


class _Never:
    """An event that nobody waits for."""

    def set(self) -> None:
        """Nobody hears it."""


class DirectExchange:
    """One request on its way; to uvicorn, and to whoever closes connections, it is what an exchange is."""

    message_event: ClassVar[_Never] = _Never()
    response_started = False
    more_body = False
    keep_alive = True
    disconnected = False
    response_complete = False
    size = 0
    """Bytes of the body, of one that is remembered."""

    def __init__(
        self, at_once: AtOnce, observe: Callable[[int, float], None], scope: Scope, keys: int
    ) -> None:
        self.at_once = at_once
        self.observe = observe
        self.scope = scope
        """That of the first request with its head, where this is a later one."""
        self.keys = keys
        """Which keys it was let in by."""
        self.answer: Callable[[DirectExchange, Any, Exception | None], None]
        """Told of what came of it."""
        self.started = perf_counter()
        self.body = b""

    def done(self) -> bool:
        """Whether its caller has gone."""
        return self.response_complete

    def set_result(self, result: Any) -> None:
        """It is answered."""
        self.answer(self, result, None)

    def set_exception(self, error: Exception) -> None:
        """It cannot be answered."""
        self.answer(self, None, error)


class KnownHeads:
    """Heads of requests that were begun without ASGI, so that the same bytes need not be read again.

    A client that keeps a connection says the same before each body: route, key and all that is decided by a
    head follow from its bytes, the address that was reached, and the keys of the time.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, DirectExchange] = {}

    def remember(self, data: bytes, exchange: DirectExchange) -> None:
        """Note the head of a request that is all of `data`; of anything else nothing."""
        head, end, body = data.partition(HEAD_END)
        if end and body == exchange.body and len(head) <= LONGEST_HEAD:
            if len(self._known) >= _MOST_HEADS:  # by clients that say something else each time
                self._known.clear()
            known = DirectExchange(exchange.at_once, exchange.observe, exchange.scope, exchange.keys)
            known.size = len(body)
            self._known[head] = known

    def find(self, data: bytes, server: Any, keys: int) -> DirectExchange | None:
        """The exchange of a request that is all of `data`, with its body, if its head is known; else None.

        Args:
            server: this end of its connection, as ASGI has it.
            keys: those that there are now.
        """
        head, end, body = data.partition(HEAD_END)
        known = self._known.get(head)
        if (
            not end
            or known is None
            or known.size != len(body)
            or known.keys != keys
            or known.scope["server"] != server
        ):
            return None
        exchange = DirectExchange(known.at_once, known.observe, known.scope, keys)
        exchange.body = body
        return exchange


def is_plain(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the headers of a request say that a short JSON body follows, and nothing that matters beside.

    >>> is_plain([(b"content-type", b"application/json"), (b"content-length", b"12")])
    True
    >>> is_plain([(b"content-length", b"12"), (b"content-encoding", b"gzip")])
    False
    """
    length = b""
    for name, value in headers:
        if name == b"content-length":
            length = value
        elif name == b"content-type":
            if value != b"application/json":
                return False
        elif name in _GENERAL and not (name == b"connection" and value.lower() == _KEPT):
            return False
    return length.isdigit() and len(length) <= _LONGEST_LENGTH and int(length) <= SMALL_BODY


def write_answer(
    defaults: Headers, status: int, body: bytes, more: Headers, *, keep: bool
) -> tuple[bytes, bool]:
    """An answer in JSON as it goes over the wire, and whether the connection stays open after it.

    Args:
        defaults: headers that every answer of the server has.
        more: those of this one.
        keep: whether the caller means to go on.
    """
    before, after, last = _head(tuple(defaults), status, tuple(more), keep)
    return b"%b%d%b%b" % (before, len(body), after, body), not last


@lru_cache(maxsize=64)
def _head(
    defaults: tuple[tuple[bytes, bytes], ...], status: int, more: tuple[tuple[bytes, bytes], ...], keep: bool
) -> tuple[bytes, bytes, bool]:
    """What stands before and after the length, and whether it says that the connection ends."""
    given = [*defaults, *more]
    last = not keep or any(
        name.lower() == b"connection" and b"close" in value.lower() for name, value in given
    )
    said = any(name.lower() == b"connection" for name, _ in given)
    closing = [(b"connection", b"close")] if last and not said else []
    phrase = HTTPStatus(status).phrase.encode()
    before = b"HTTP/1.1 %d %b\r\n%b%bcontent-length: " % (status, phrase, _lines(defaults), _lines([JSON]))
    return before, b"\r\n%b\r\n" % _lines([*UNSHARED, *more, *closing]), last


def _lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join(b"%b: %b\r\n" % pair for pair in headers)
