"""What a request is called in answers and in the log, so that a caller's question finds its line."""

from __future__ import annotations

import re
import uuid

from service.http.exchange import Headers, Scope, header

NAME = b"x-request-id"
_KEY = "ratchet.request_id"
_ALLOWED = re.compile(r"[\w.:+/=@-]{1,128}", re.ASCII)


def request_id(scope: Scope) -> str:
    """The caller's own id of a request, where it is a plain word, else a new one; the same each time."""
    name: str | None = scope.get(_KEY)
    if name is None:
        sent = header(scope, NAME)
        name = sent if sent is not None and _ALLOWED.fullmatch(sent) else uuid.uuid4().hex
        scope[_KEY] = name
    return name


def with_request_id(scope: Scope, headers: Headers) -> Headers:
    """Headers of an answer with the id of its request."""
    return (*headers, (NAME, request_id(scope).encode()))
