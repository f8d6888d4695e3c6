"""Features derived from dates and texts: parts of a date, and lengths and shares of characters of a text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Derivation:
    """How one type of field becomes numbers."""

    parts: tuple[str, ...]
    """A name for each number."""
    compute: Callable[[np.ndarray], Floats]
    """Values of n rows to numbers (n, parts); NaN where the value is missing."""


def describe_dates(dates: np.ndarray) -> Floats:
    """Days since 1970, then hour, weekday and day of the year as points on a circle."""
    days = (dates - np.datetime64("1970-01-01T00:00:00", "us")) / DAY
    in_year = (dates - dates.astype("datetime64[Y]").astype(dates.dtype)) / DAY
    # 1970-01-01 was a Thursday.
    turns = [days % 1, (days + 3) % 7 // 1 / 7, in_year / 366]
    circles = [wave(2 * np.pi * turn) for turn in turns for wave in (np.sin, np.cos)]
    return np.stack([days, *circles], axis=1)


def describe_texts(texts: np.ndarray) -> Floats:
    """Characters and words (as log(1+n)), and the shares of numerals, capitals and spaces."""
    return np.array([_describe_text(text) for text in texts.tolist()], dtype=np.float64).reshape(-1, 5)


def _describe_text(text: str | None) -> tuple[float, ...]:
    if text is None:
        return (np.nan,) * 5
    length = max(len(text), 1)
    return (
        float(np.log1p(len(text))),
        float(np.log1p(len(text.split()))),
        sum(map(str.isdigit, text)) / length,
        sum(map(str.isupper, text)) / length,
        sum(map(str.isspace, text)) / length,
    )


DERIVED = {
    "datetime": Derivation(
        ("days", "hour_sin", "hour_cos", "weekday_sin", "weekday_cos", "year_sin", "year_cos"),
        describe_dates,
    ),
    "text": Derivation(("length", "words", "numerals", "capitals", "spaces"), describe_texts),
}
"""Type of a field to its derivation."""
