"""Values of JSON rows as the checks of a record take them, and those that no check could name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson

from configs.spelling.letters import compose
from features.errors import SourceError
from features.files.batches import MAX_DEPTH, TOO_DEEP, is_too_deep
from features.files.layout import Layout
from features.files.readers.repeated_keys import describe_repeated, find_repeated

PICTURE = {"bytes", "path"}
"""Keys of an object that is a picture."""
MOST_DIGITS = 30
"""Of a whole number that is looked at exactly."""


class Refused(SourceError):
    """A row that is refused whole; the message is the reason."""


def parse_json(text: bytes) -> Any:
    """Any JSON; NaN and Infinity are let through, for the fields to name.

    Raises:
        Refused: it is none, nested too deeply, or has a key twice.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        try:
            value = json.loads(text, parse_int=_whole)
        except RecursionError as deep:
            raise Refused(TOO_DEEP) from deep
        except ValueError:
            raise Refused(f"not JSON: {error}") from error
    if text.count(b"[") + text.count(b"{") > MAX_DEPTH and is_too_deep(value):
        raise Refused(TOO_DEEP)
    if (repeated := find_repeated(text, value)) is not None:
        raise Refused(describe_repeated(repeated))
    return value


def _whole(digits: str) -> int | float:
    """Whole numbers as `orjson` reads them: beyond 64 bits they are fractions."""
    if len(digits) > MOST_DIGITS:
        return float(digits)
    value = int(digits)
    return value if -(2**63) <= value < 2**64 else float(value)


def read_row(row: dict[str, Any], layout: Layout) -> dict[str, Any]:
    """The values that are wanted of a row, by their names with composed letters.

    Raises:
        Refused: the name of one is no text, or there is another of it in other letters.
    """
    wanted = {}
    for written, value in row.items():
        name = compose(written)
        if layout.wants(name):
            if not (name.isascii() or _is_text(name)):
                raise Refused(f"a name that is no text: {name!a:.60}")
            if name in wanted:
                raise Refused(describe_repeated(name))
            is_nested = isinstance(value, dict | list) and not layout.whole
            wanted[name] = _flat(value) if is_nested else value
    return wanted


def _is_picture(value: Mapping[str, Any]) -> bool:
    """Whether it is an object of base64 and a path, as data sets of pictures have them."""
    known = value.keys() <= PICTURE
    return known and all(one is None or (isinstance(one, str) and _is_text(one)) for one in value.values())


def _is_text(name: str) -> bool:
    """Whether it can be written: halves of surrogate pairs, which JSON can spell, cannot."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _flat(value: Any) -> Any:
    """Lists of numbers and texts as they are; of objects only one of a picture, which alone a field takes."""
    if isinstance(value, Mapping):
        return value if _is_picture(value) else {}
    waiting = [value]
    while waiting:
        for one in waiting.pop():
            if isinstance(one, list):
                waiting.append(one)
            elif isinstance(one, dict):
                return [{}]
    return value
