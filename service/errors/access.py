"""Callers that are not let in, or are cut off."""

from __future__ import annotations

from collections.abc import Iterable

from configs.security.origins import Refusal
from service.errors.base import ServiceError

REALM = b'Bearer realm="ratchet"'


class Unauthorized(ServiceError):
    """A request without an API key that is known."""

    status = 401
    code = "unauthorized"

    def __init__(self, given: bool) -> None:
        arrived = "a key that is not known" if given else "none"
        challenge = REALM + b', error="invalid_token"' if given else REALM
        super().__init__(
            f"header 'authorization': got {arrived}; allowed: 'Bearer' and an API key of this server, "
            "or the key alone in header 'x-api-key'",
            headers=[(b"www-authenticate", challenge)],
        )


class Forbidden(ServiceError):
    """A request that the caller's key is not for."""

    status = 403
    code = "forbidden"

    def __init__(self, name: str, has: Iterable[str], needs: str, what: str) -> None:
        scopes = sorted(has)
        challenge = REALM + b', error="insufficient_scope", scope="' + needs.encode() + b'"'
        super().__init__(
            f"{what} needs the scope '{needs}'; key '{name}' has: {', '.join(scopes)}",
            {"needs": needs, "has": scopes},
            [(b"www-authenticate", challenge)],
        )


class CrossSite(ServiceError):
    """A request that a page of another site makes a browser send."""

    status = 403
    code = "cross_site"

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.message}, or of RATCHET_ALLOWED_ORIGINS")


class WrongHost(ServiceError):
    """A request to a name that is not this server's, as a page sends it that had its own name lead here."""

    status = 403
    code = "wrong_host"

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)


def not_let_in(refusal: Refusal) -> ServiceError:
    """The error for what the door refuses."""
    return WrongHost(refusal) if refusal.header == "Host" else CrossSite(refusal)


class HeadTooLarge(ServiceError):
    """A request whose line and headers do not end."""

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
