"""Query parameters of a request: read, and checked against their bounds."""

from __future__ import annotations

from urllib.parse import parse_qs

from service.errors import Invalid
from service.http.exchange import Scope


def whole_number(scope: Scope, key: str, *, default: int, high: int, low: int = 1) -> int:
    """A number of the query; the last, where it is given twice.

    Raises:
        Invalid: it is no whole number within bounds.
    """
    values = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True).get(key)
    if values is None:
        return default
    text = values[-1]
    if text.isascii() and text.isdigit() and len(text) <= 9 and low <= int(text) <= high:
        return int(text)
    raise Invalid(f"query '{key}': got '{text[:40]}'; allowed: a whole number from {low} to {high}")
