"""Errors of keys, origins and hosts that are refused, and of requests that arrive too slowly."""

from __future__ import annotations

from collections.abc import Iterable

from configs.security.origins import Refusal
from service.errors.base import ServiceError

# Basic is understood, but not asked for: a browser would open a window of its own over the page.
REALM = b'Bearer realm="ratchet"'


class Unauthorized(ServiceError):
    """A request without an API key, or with an unknown one."""

    status = 401
    code = "unauthorized"

    def __init__(self, has_key: bool) -> None:
        arrived = "a key that is not known" if has_key else "none"
        challenge = REALM + b', error="invalid_token"' if has_key else REALM
        super().__init__(
            f"header 'authorization': got {arrived}; allowed: 'Bearer' and an API key of this server, "
            "'Basic' with it as password, or the key alone in header 'x-api-key'",
            headers=[(b"www-authenticate", challenge)],
        )


class Forbidden(ServiceError):
    """A request whose key lacks the scope that the route needs."""

    status = 403
    code = "forbidden"

    def __init__(self, key_name: str, scopes: Iterable[str], needed: str, route: str) -> None:
        key_scopes = sorted(scopes)
        challenge = REALM + b', error="insufficient_scope", scope="' + needed.encode() + b'"'
        super().__init__(
            f"{route} needs the scope '{needed}'; key '{key_name}' has: {', '.join(key_scopes)}",
            {"needs": needed, "has": key_scopes},
            [(b"www-authenticate", challenge)],
        )


class CrossSite(ServiceError):
    """A request that a page of another site makes a browser send."""

    status = 403
    code = "cross_site"

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.message}, or of RATCHET_ALLOWED_ORIGINS")


class WrongHost(ServiceError):
    """A request to a host name that is not this server's, as in DNS rebinding."""

    status = 403
    code = "wrong_host"

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)


def origin_error(refusal: Refusal) -> ServiceError:
    """The error for a request whose `Host` or `Origin` is refused."""
    return WrongHost(refusal) if refusal.header == "Host" else CrossSite(refusal)


class HeadTooLarge(ServiceError):
    """A request whose line and headers are longer than allowed."""

    status = 431
    code = "head_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"the head of the request has more than {limit} bytes; allowed: {limit}",
            headers=[(b"connection", b"close")],
        )


class SlowClient(ServiceError):
    """A request that did not arrive in time."""

    status = 408
    code = "slow_client"

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"the request was not whole after {seconds:.0f} s; allowed: `RATCHET_SLOW_CLIENT_SECONDS`, "
            "and one more for every 16 KB that came",
            headers=[(b"connection", b"close")],
        )
