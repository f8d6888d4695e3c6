"""Lengths of time as people write them: hours, days or weeks, as in `12h`, `1d`, `2w`."""

from __future__ import annotations

import re
from datetime import timedelta

PATTERN = r"^[1-9][0-9]{0,4}[hdw]$"
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def read_duration(text: str) -> timedelta:
    """The length that a text such as `12h` says.

    Raises:
        ValueError: it says none.
    """
    if not re.fullmatch(PATTERN, text):
        raise ValueError(f"{text!r}; allowed: hours, days or weeks such as 12h, 1d or 2w")
    return int(text[:-1]) * _UNITS[text[-1]]


def write_duration(length: timedelta) -> str:
    """As people write it: in the largest unit of which it is a multiple."""
    whole = (f"{length // unit}{name}" for name, unit in reversed(_UNITS.items()) if not length % unit)
    return next(whole, str(length))
