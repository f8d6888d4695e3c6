"""What browsers are told, so that pages of other, allowed sites may call and read the answers."""

from __future__ import annotations

from configs.security.origins import OriginPolicy
from service.http.exchange import Headers, Scope, header

PREFLIGHT_SECONDS = b"600"
_READABLE = b"location, retry-after, www-authenticate, x-request-id"


def cors_headers(policy: OriginPolicy, scope: Scope) -> Headers:
    """Headers by which browsers let a page of an allowed site read the answer."""
    origin = header(scope, b"origin")
    headers = [(b"vary", b"origin")]
    if origin is not None and policy.allows_origin(origin):
        headers += [
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-expose-headers", _READABLE),
        ]
    return headers


def preflight(policy: OriginPolicy, scope: Scope) -> Headers | None:
    """Headers for a browser that asks what an allowed page may send; None: it is no such question."""
    if scope["method"] != "OPTIONS" or header(scope, b"access-control-request-method") is None:
        return None
    if not policy.allows_origin(header(scope, b"origin") or ""):
        return None
    return [
        (b"access-control-allow-methods", b"GET, HEAD, POST, DELETE"),
        (
            b"access-control-allow-headers",
            b"authorization, content-type, idempotency-key, last-event-id, x-api-key, x-request-id",
        ),
        (b"access-control-max-age", PREFLIGHT_SECONDS),
    ]
