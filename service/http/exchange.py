"""One HTTP exchange over plain ASGI: reading the body within its limit, sending the answer."""

from __future__ import annotations

import asyncio
import encodings.aliases
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.errors import ServiceError, TooLarge, WrongEncoding, WrongMediaType
from service.http.admission import Admission

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")
UNSHARED = (
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""Keeps also browsers that send no `Sec-Fetch-Site` from loading an answer into another site's page."""
_JSON_KINDS = frozenset(
    {
        *(b"", b"application/json", b"application/x-json", b"text/json", b"text/x-json"),
        b"application/x-www-form-urlencoded",
    }
)
"""None keeps pages of other sites away, as browsers send some without asking first: `Origin` does."""
_UTF8 = frozenset(
    {
        *("", "utf_8", "ascii"),
        *(alias for alias, codec in encodings.aliases.aliases.items() if codec in ("utf_8", "ascii")),
    }
)
"""What Python calls UTF-8, and ASCII, which is UTF-8 that uses little of it."""
INFERENCE = "/v2"
"""Below it the Open Inference Protocol is spoken."""
_DRAINED_BYTES = 64 * 1024 * 1024
"""Rest of a refused body that is read and dropped, so that the caller can read the refusal."""
ADMISSION = "ratchet.admission"
"""In the scope of every request: what keeps count of it."""
SMALL_BODY = 64 * 1024
"""Bodies up to this length are bounded by the number of requests alone."""
STEP = 256 * 1024
"""What is taken of the room for longer ones at a time."""


class ClientGone(Exception):
    """The caller hung up before its request was whole."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer other than a plain 200 with JSON."""

    status: int
    body: bytes
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Stream:
    """A 200 that is told piece by piece; empty pieces only ask whether the caller is still there."""

    parts: AsyncIterator[bytes]
    content_type: bytes = b"text/event-stream"


def may_be_json(value: bytes) -> bool:
    """JSON by its name, or what curl calls any body that is given with `-d`; in no charset but UTF-8."""
    kind, *parameters = value.lower().split(b";")
    kind = kind.strip()
    json_kind = kind in _JSON_KINDS or (kind.startswith(b"application/") and kind.endswith(b"+json"))
    return json_kind and is_utf8(parameters)


def is_utf8(parameters: Iterable[bytes]) -> bool:
    """Whether no parameter of a content type, in small letters, says another charset than UTF-8."""
    pairs = (parameter.partition(b"=") for parameter in parameters)
    charsets = (text.strip(b" \t\"'") for name, _, text in pairs if name.strip() == b"charset")
    # Not by `codecs.lookup`, which remembers all names that somebody makes up.
    return all(encodings.normalize_encoding(one.decode("latin-1")) in _UTF8 for one in charsets)


async def read_body(
    scope: Scope,
    receive: Receive,
    limit: int,
    allows: Callable[[bytes], bool] = may_be_json,
    allowed: str = "application/json",
) -> bytes:
    """The body of a request; reading stops at `limit` bytes.

    Args:
        allows: whether a body may be announced so; `allowed` says in words what may be.

    Raises:
        TooLarge: it is longer; when it says so beforehand, nothing of it is read.
        Overloaded: the bodies in hand leave no room for it.
        WrongMediaType: it is announced as something else than what is allowed.
        WrongEncoding: it is compressed.
        ClientGone: the connection closed before it was whole.
    """
    admission: Admission | None = scope.get(ADMISSION)
    for name, value in scope["headers"]:
        if name == b"content-length":
            if (length := int(value)) > limit:
                raise _too_large(length, limit)
            if length > SMALL_BODY and admission is not None:
                admission.ensure_room(scope, length)
        elif name == b"content-type":
            if value != b"application/json" and not allows(value):
                raise WrongMediaType(value.decode("latin-1"), allowed)
        elif name == b"content-encoding" and value.lower() != b"identity":
            raise WrongEncoding(value.decode("latin-1"))
    if admission is None:
        return await _whole(scope, receive, limit)
    admission.in_flight -= 1  # who is slow to send takes nobody's place
    try:
        return await _whole(scope, receive, limit)
    finally:
        admission.in_flight += 1


async def _whole(scope: Scope, receive: Receive, limit: int) -> bytes:
    """All parts of a body; of a large one the room is taken as it comes, not as it is announced."""
    message = await receive()
    if not message.get("more_body", False):
        if message["type"] == "http.disconnect":
            raise ClientGone
        whole: bytes = message.get("body", b"")
        if len(whole) > SMALL_BODY:
            _hold(scope, len(whole))
        return whole
    parts = [message.get("body", b"")]
    size, counted = len(parts[0]), SMALL_BODY
    while message.get("more_body", False):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise _too_large(None, limit)
        if size > counted:
            more = max(STEP, size - counted)
            _hold(scope, more)
            counted += more
    return b"".join(parts)


async def send_reply(send: Send, status: int, body: bytes, headers: Headers = ()) -> None:
    """Send a whole answer; JSON unless `headers` name another type."""
    length = (b"content-length", b"%d" % len(body))
    first = (
        [length, *UNSHARED, *headers]
        if any(name == b"content-type" for name, _ in headers)
        else [JSON, length, *UNSHARED, *headers]
    )
    await send({"type": "http.response.start", "status": status, "headers": first})
    await send({"type": "http.response.body", "body": body})


def stream_headers(stream: Stream) -> Headers:
    """Headers of a stream; nginx and its like pass on at once what says that it is not to be buffered."""
    return [
        (b"content-type", stream.content_type),
        (b"cache-control", b"no-cache"),
        (b"x-accel-buffering", b"no"),
        *UNSHARED,
    ]


async def send_stream(receive: Receive, send: Send, stream: Stream) -> None:
    """Send a stream to its end, or until the caller hangs up."""
    await send({"type": "http.response.start", "status": 200, "headers": stream_headers(stream)})
    gone = asyncio.ensure_future(hung_up(receive))
    try:
        async for part in stream.parts:
            if gone.done():
                return
            if part:
                await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()


async def hung_up(receive: Receive) -> None:
    """Return once the caller has hung up, of a request whose body has come."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def send_error(send: Send, error: ServiceError, path: str, headers: Headers = ()) -> None:
    """Send an error, with its own headers and others."""
    await send_reply(send, error.status, error_for(error, path), (*error.headers, *headers))


def error_for(error: ServiceError, path: str) -> bytes:
    """An error in the one shape, or in that which the protocol of `path` has."""
    plain = path == INFERENCE or path.startswith(INFERENCE + "/")
    return error.plain_body() if plain else error.body()


def header(scope: Scope, name: bytes) -> str | None:
    """Value of a header, by its lower-case name."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)


def last_name(scope: Scope) -> str:
    """What the path ends with."""
    name: str = scope["path"].rpartition("/")[2]
    return name


def _hold(scope: Scope, size: int) -> None:
    admission: Admission | None = scope.get(ADMISSION)
    if admission is not None:
        admission.hold(scope, size)


def _too_large(length: int | None, limit: int) -> TooLarge:
    error = TooLarge(length, limit)
    if length is None or length > _DRAINED_BYTES:
        error.headers = (*error.headers, (b"connection", b"close"))
    return error
