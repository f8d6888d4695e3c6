"""Messages about values that are refused: the field, what arrived (shortened), and what is allowed."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

_LISTED = 20
_DEEPEST = 4
_LOOKED_AT = 1000


def describe(value: Any) -> str:
    """Name what arrived, shortened, for a message.

    >>> describe("abc"), describe(True), describe([[1, 2], [3, 4]])
    ("'abc' (text)", 'true', 'an array of 2x2')
    """
    if isinstance(value, str):
        return f"{_short(repr(value[:1000]))} (text)"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int | float | np.number):
        return _short(_number_text(value))
    if isinstance(value, list | tuple | np.ndarray):
        return "an array of " + "x".join(map(str, _lengths(value)))
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return _short(str(value))


def describe_unlisted(text: str, listed: Sequence[str]) -> str:
    """Name a text that is not on a list; if it looks like one that is, by the codes of its letters.

    >>> describe_unlisted("c\u0430t", ["cat"]), describe_unlisted("dog", ["cat"])
    ("'c\\\\u0430t' (text)", "'dog' (text)")
    """
    alike = (word for word in listed if len(word) == len(text) <= _LOOKED_AT and not (word + text).isascii())
    alike_one = any(
        all(a == b or not (a + b).isascii() for a, b in zip(word, text, strict=True)) for word in alike
    )
    if alike_one or _mixes_alphabets(text):
        return f"{_short(ascii(text))} (text)"
    return describe(text)


def _mixes_alphabets(text: str) -> bool:
    """Whether letters of several alphabets, or accents of their own, stand in a text."""
    if text.isascii() or len(text) > _LOOKED_AT:
        return False
    names = [unicodedata.name(letter, "") for letter in text if not letter.isascii() or letter.isalpha()]
    return len({name.partition(" ")[0] for name in names}) > 1


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:40] + "..." + text[-8:]


def _number_text(value: Any) -> str:
    try:
        number = float(value)
    except OverflowError:
        return "a number beyond the range of 64 bits"
    if isinstance(value, int):
        return str(value) if abs(value) < 10**40 else repr(number)
    if math.isnan(number):
        return "NaN"
    return f"{number:.0f}" if number.is_integer() and abs(number) < 1e15 else repr(number)


def _lengths(value: Any) -> list[int]:
    lengths: list[int] = []
    while isinstance(value, list | tuple | np.ndarray) and len(lengths) < _DEEPEST:
        lengths.append(len(value))
        value = value[0] if len(value) else None
    return lengths


def invalid_message(name: str, arrived: str, allowed: str) -> str:
    """The message about a value that is not allowed."""
    return f"field '{name}': got {arrived}; allowed: {allowed}"


def missing_message(name: str, allowed: str) -> str:
    """The message about a value that is missing where it is required."""
    return f"field '{name}': missing; allowed: {allowed}"


def one_of(values: Sequence[str]) -> str:
    """List the values of a closed set for a message; long lists are cut.

    >>> one_of(("No", "Yes"))
    "one of 'No', 'Yes'"
    """
    listed = ", ".join(f"'{value}'" for value in values[:_LISTED])
    return f"one of {listed}" + (f", ... ({len(values)} in all)" if len(values) > _LISTED else "")


def bounds(low: float | None, high: float | None) -> str:
    """The bounds of a number, to follow its noun."""
    if low is not None and high is not None:
        return f" from {_number_text(low)} to {_number_text(high)}"
    if low is not None:
        return f", at least {_number_text(low)}"
    return "" if high is None else f", at most {_number_text(high)}"
