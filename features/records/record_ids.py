"""What a record's own id may be, where it comes by request."""

from __future__ import annotations

from typing import Any

from features.records.fields import LARGEST_INTEGER

MAX_ID = 200


def is_id(value: Any) -> bool:
    """Whether `value` may be a record's own id: absent, a whole number, or text that can be stored."""
    if value is None or type(value) is int:
        return value is None or abs(value) <= LARGEST_INTEGER
    return type(value) is str and len(value) <= MAX_ID and value.isprintable()
