"""Keys that an object of JSON has twice, of which parsers keep the last in silence.

Whoever reads labels wants to know: one of two values is wrong, and nobody can say which. Parsers do not
tell, so keys are counted: those of the text against those of what was read.
"""

from __future__ import annotations

import json
import re
from typing import Any

_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"([ \t\r\n]*+:)?', re.DOTALL)
"""A text; where it is a key, with its colon as the group."""
_APART = (b" :", b"\n:", b"\t:", b"\r:")
"""How a key may be followed by its colon where that does not stand at once behind it."""
SHOWN = 80


class _Repeating(dict[str, Any]):
    """An object that had a key twice."""

    key: str


def find_repeated(text: bytes, value: Any) -> str | None:
    """Where a key is there twice, such as `items.0.label`; None: nowhere.

    Args:
        text: JSON.
        value: what was read from it.
    """
    keys = _count_keys(value, text.count(b"{"))
    if text.count(b":") == keys:
        return None  # no text has a colon either
    if text.count(b'":') == keys and not any(apart in text for apart in _APART):
        return None  # every key ends so, and whatever else does would make them more
    if sum(map(bool, _STRING.findall(text))) == keys:
        return None
    try:
        marked = json.loads(text, object_pairs_hook=_mark, parse_int=str)
    except RecursionError:
        return "a key"
    return _find_marked(marked)


def describe_repeated(place: str) -> str:
    """What to say of it."""
    return f"key '{place}': got it twice in one object; allowed: once"


def _count_keys(value: Any, objects: int) -> int:
    """Keys of all objects in a value.

    Args:
        objects: how many there are at most; lists of numbers are not walked through to look for more.
    """
    keys = found = 0
    dicts, lists = ([value], []) if isinstance(value, dict) else ([], [value])
    while (dicts or lists) and found < objects:
        if dicts:
            one = dicts.pop()
            found += 1
            keys += len(one)
            inside = one.values()
        else:
            inside = lists.pop()
        if not isinstance(inside, str | int | float | None):
            for part in inside:
                if type(part) is dict:
                    dicts.append(part)
                elif type(part) is list:
                    lists.append(part)
    return keys


def _mark(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) == len(pairs):
        return read
    marked, seen = _Repeating(read), set[str]()
    for name, _ in pairs:
        if name in seen:
            marked.key = name
            break
        seen.add(name)
    return marked


def _find_marked(value: Any) -> str | None:
    """The path to the first key that is there twice."""
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        place, one = waiting.pop()
        if isinstance(one, _Repeating):
            return f"{place}{one.key}"[:SHOWN]
        inside = one.items() if isinstance(one, dict) else enumerate(one) if isinstance(one, list) else ()
        waiting += [(f"{place}{key}.", part) for key, part in reversed(list(inside))]
    return None
