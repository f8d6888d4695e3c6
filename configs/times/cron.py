"""Check cron lines and time zones when a file is read, not when a schedule first fails to fire."""

from __future__ import annotations

import re
from collections.abc import Sequence
from zoneinfo import ZoneInfo

Field = tuple[str, int, int, Sequence[str]]
"""Name, least and greatest value, and the names that stand for values."""
FIELDS: tuple[Field, ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day", 1, 31, ()),
    ("month", 1, 12, ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
    ("weekday", 0, 7, ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
)
_PART = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/(\d+))?")


def check_cron(line: str) -> str:
    """Return `line` when it is five fields of `*`, numbers, names, ranges, lists and steps.

    Raises:
        ValueError: it is not; the message names the field and what is allowed.

    >>> check_cron("*/15 6-18 * * mon-fri")
    '*/15 6-18 * * mon-fri'
    """
    parts = line.split()
    if len(parts) != len(FIELDS):
        names = ", ".join(name for name, *_ in FIELDS)
        raise ValueError(f"cron line '{line}' has {len(parts)} fields; allowed: 5 ({names})")
    for text, (name, low, high, value_names) in zip(parts, FIELDS, strict=True):
        if not all(_fits(part, low, high, value_names) for part in text.split(",")):
            named = f", or {value_names[0]} to {value_names[-1]}" if value_names else ""
            allowed = f"{low} to {high}{named}, as *, a, a-b, */n or a,b"
            raise ValueError(f"cron line '{line}': {name} is '{text}'; allowed: {allowed}")
    return line


def check_timezone(name: str) -> str:
    """Return `name` when it is an IANA time zone.

    Raises:
        ValueError: it is not.
    """
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"time zone '{name}' is unknown; allowed: an IANA name such as Europe/Berlin"
        ) from error
    return name


def values_of(text: str, field: Field) -> set[int]:
    """All values that the text of one field of a checked line names.

    >>> sorted(values_of("mon-wed,5/2", FIELDS[4]))
    [1, 2, 3, 5, 7]
    """
    _, low, high, names = field
    values: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"'{part}' is no part of a checked cron line")
        first, last, step = match.groups()
        start = low if first is None else _number(first, low, names)
        end = (
            high
            if first is None or (last is None and step is not None)
            else _number(last or first, low, names)
        )
        assert start is not None and end is not None
        if last is not None and start == end:  # as Prefect has it: mon-mon goes once around
            start, end = low, high
        values |= set(range(start, end + 1, int(step or 1)))
    return values


def _fits(part: str, low: int, high: int, names: Sequence[str]) -> bool:
    match = _PART.fullmatch(part)
    if match is None:
        return False
    first, last, step = match.groups()
    ends = [_number(text, low, names) for text in (first, last) if text is not None]
    rises = len(ends) < 2 or (None not in ends and ends[0] <= ends[1])  # type: ignore[operator]
    return all(end is not None and low <= end <= high for end in ends) and rises and step != "0"


def _number(text: str, low: int, names: Sequence[str]) -> int | None:
    if text.isascii() and text.isdigit():
        return int(text)
    return list(names).index(text.lower()) + low if text.lower() in names else None
