"""Query parameters of a request: which there may be, and what they say, checked against their bounds."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import parse_qsl

from service.errors import Invalid, UnknownQuery
from service.http.exchange import Scope


def ensure_known_keys(scope: Scope, keys: Collection[str]) -> None:
    """See to it that a query says nothing that would not be read.

    Raises:
        UnknownQuery: it has a key that is none of `keys`, or one twice.
    """
    seen = set()
    for key, _ in _pairs(scope):
        if key not in keys or key in seen:
            raise UnknownQuery(key, keys, twice=key in keys)
        seen.add(key)


def query_text(scope: Scope, key: str) -> str | None:
    """What a query says under a key; None where it has none."""
    return next((text for name, text in _pairs(scope) if name == key), None)


def whole_number(scope: Scope, key: str, *, default: int, high: int, low: int = 1) -> int:
    """A number of the query.

    Raises:
        Invalid: it is no whole number within bounds.
    """
    text = query_text(scope, key)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) <= 9 and low <= int(text) <= high:
        return int(text)
    raise Invalid(f"query '{key}': got '{text[:40]}'; allowed: a whole number from {low} to {high}")


def _pairs(scope: Scope) -> list[tuple[str, str]]:
    return parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
