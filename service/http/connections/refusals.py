"""Refusals as they go over the wire, of requests that never come to the application."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus

from service.errors import ServiceError
from service.http.exchange import error_for


@lru_cache(maxsize=8)  # one and the same refusal is written many times
def written(error: ServiceError, url: bytes = b"", *, close: bool = False, bare: bool = False) -> bytes:
    """An answer as it goes over the wire; `bare` to HEAD, which would take a body for the next answer."""
    body = error_for(error, url.decode("latin-1"))
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *error.headers]
    if close and not any(name == b"connection" for name, _ in headers):
        headers.append((b"connection", b"close"))
    head = b"".join(b"%b: %b\r\n" % pair for pair in headers)
    return b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (
        error.status,
        HTTPStatus(error.status).phrase.encode(),
        head,
        b"" if bare else body,
    )
