"""Who may do what: the scope that each route needs, and API keys.

A route that nobody has thought of is closed: whatever reads needs a key, anything else needs `admin`.
"""

from __future__ import annotations

import re
from base64 import b64decode
from functools import lru_cache

from configs.api_keys import KeyScope
from service.errors import Forbidden, Unauthorized
from service.http.exchange import Scope
from service.http.key_ring import Caller, KeyRing
from store.feedback import sources

READING = ("GET", "HEAD")
OPEN = frozenset({"/health", "/livez", "/readyz", "/ping", "/v2/health/live", "/v2/health/ready", "/ui"})
"""Read by everyone, and so is what is below /ui: they hold no secrets."""
OTHERS: dict[str, KeyScope] = {
    "/predict": "predict",
    "/invocations": "predict",
    "/v2/repository/index": "read",
}
"""What a POST elsewhere needs."""
WORK: dict[str, KeyScope] = {
    "predict": "predict",
    "predictions": "predict",
    "recommend": "predict",
    "invocations": "predict",
    "feedback": "feedback",
    "quarantine/retry": "feedback",
    "train": "train",
    "retrain": "train",
    "retrain/stop": "train",
    "rollback": "admin",
}
"""What a POST below /v1/{use_case}/ needs."""
_TAKES_BACK = re.compile(r"/v1/[^/]+/feedback/[^/]+\Z")
_CALLER = "ratchet.caller"


def scope_needed(method: str, path: str) -> KeyScope | None:
    """The scope that a request needs where keys are required; None: it needs no key."""
    if method == "DELETE" and _TAKES_BACK.match(path):
        return "feedback"
    if method in READING and path.startswith("/v1/") and path.endswith("/audits"):
        return "feedback"
    if method in READING:
        return None if path in OPEN or path.startswith("/ui/") else "read"
    parts = path.split("/", 3)
    if len(parts) == 4 and parts[1] == "v1":
        return WORK.get(parts[3], "admin")
    if path.startswith("/v2/models/") and path.endswith("/infer"):
        return "predict"
    return OTHERS.get(path, "admin")


_scope_needed = lru_cache(maxsize=1024)(scope_needed)
_LONGEST_REMEMBERED = 100
"""Paths longer than this are made up by somebody, and would only fill the memory."""


def caller_of(scope: Scope) -> Caller | None:
    """Whose request this is; None where no key was required."""
    caller: Caller | None = scope.get(_CALLER)
    return caller


def source_of(scope: Scope) -> str:
    """The source of labels that a request brings."""
    caller = caller_of(scope)
    return sources.OPEN if caller is None else caller.name


def ensure_may_label(caller: Caller | None) -> None:
    """See to it that who sends labels beside records may: they are stored as feedback.

    Raises:
        Forbidden: its key is only for predictions.
    """
    if caller is not None and not caller.may("feedback"):
        raise Forbidden(caller.name, caller.scopes, "feedback", "`labels` beside records")


class Access:
    """Lets requests in.

    Args:
        ring: the keys.
        metrics_open: whether /metrics is for everyone: where only this machine reaches it.
    """

    def __init__(self, ring: KeyRing, *, metrics_open: bool) -> None:
        self.ring = ring
        self._metrics_open = metrics_open

    def admit(self, scope: Scope, path_exists: bool) -> None:
        """Let a request in that needs a key.

        Args:
            path_exists: whether something at its path answers to its method; where nothing does, any key will
                do to be told so.

        Raises:
            Unauthorized: it has no key, or one that is not known.
            Forbidden: its key is not for that.
        """
        method, path = scope["method"], scope["path"]
        find = _scope_needed if len(path) <= _LONGEST_REMEMBERED else scope_needed
        needed = find(method, path)
        if needed is None or (path == "/metrics" and self._metrics_open and needed == "read"):
            return
        tokens = _tokens(scope)
        caller = next(filter(None, map(self.ring.find, tokens)), None)
        if caller is None:
            raise Unauthorized(bool(tokens))
        if path_exists and not caller.may(needed):
            raise Forbidden(caller.name, caller.scopes, needed, f"{method} {path[:200]}")
        scope[_CALLER] = caller


def _tokens(scope: Scope) -> tuple[bytes, ...]:
    """What may be the key that came with a request: in its own header, else as a bearer's or a password."""
    authorization: bytes | None = None
    for name, value in scope["headers"]:
        if name == b"x-api-key":
            own: bytes = value
            return (own,)
        if name == b"authorization":
            authorization = value
    if authorization is None:
        return ()
    kind, _, token = authorization.partition(b" ")
    if kind.lower() == b"basic":
        return _of_basic(token.strip())
    return (token.strip(),) if kind.lower() == b"bearer" else ()


def _of_basic(encoded: bytes) -> tuple[bytes, ...]:
    """The password, and where that is no key the user; some clients know only one of them."""
    try:
        user, _, password = b64decode(encoded, validate=True).partition(b":")
    except ValueError:
        return (b"",)
    return tuple(filter(None, (password, user))) or (b"",)
