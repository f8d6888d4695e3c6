"""Features derived from dates and texts: parts of a date, and lengths and shares of characters of a text."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from features.records.contract import Columns

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
DAY = np.timedelta64(1, "D")
FIRST_DATE, END_OF_DATES = np.datetime64("0002-01-01", "us"), np.datetime64("9999-01-01", "us")
"""Databases write years 1 and 9999 where there is no date: a date before the one, or from the other on."""

_PLAIN = re.compile(r"[\x00-\x7f]+")
_NUMERALS, _CAPITALS, _SPACES = (
    bytes(code for code in range(128) if belongs(chr(code)))
    for belongs in (str.isdigit, str.isupper, str.isspace)
)

VOCABULARY = "vocabulary"
"""Part of a text's columns that is the text itself, for its words to be compared; a drift check knows it."""


@dataclass(frozen=True)
class Derivation:
    """How one type of field becomes numbers."""

    parts: tuple[str, ...]
    """A name for each number."""
    compute: Callable[[np.ndarray], Floats]
    """Values of n rows to numbers (n, parts); NaN where the value is missing."""


def count_sentinel_dates(columns: Columns) -> dict[str, int]:
    """Name of a column to how many of its dates stand for none, where there are any."""
    counts = {
        name: int(_stand_for_none(column).sum())
        for name, column in columns.items()
        if column.dtype.kind == "M"
    }
    return {name: count for name, count in counts.items() if count}


def drop_sentinel_dates(columns: Columns) -> Columns:
    """The same columns, with dates of the years 1 and 9999, which stand for none, missing."""
    return {
        name: _without_sentinels(column) if column.dtype.kind == "M" else column
        for name, column in columns.items()
    }


def describe_dates(dates: np.ndarray) -> Floats:
    """Days since 1970, then hour, weekday and day of the year as points on a circle."""
    days = (dates - np.datetime64("1970-01-01T00:00:00", "us")) / DAY
    in_year = (dates - dates.astype("datetime64[Y]").astype(dates.dtype)) / DAY
    # 1970-01-01 was a Thursday.
    turns = [days % 1, (days + 3) % 7 // 1 / 7, in_year / 366]
    circles = [wave(2 * np.pi * turn) for turn in turns for wave in (np.sin, np.cos)]
    return np.stack([days, *circles], axis=1)


def _stand_for_none(dates: np.ndarray) -> NDArray[np.bool_]:
    return np.asarray((dates < FIRST_DATE) | (dates >= END_OF_DATES))


def _without_sentinels(dates: np.ndarray) -> np.ndarray:
    stands_for_none = _stand_for_none(dates)
    return np.where(stands_for_none, np.datetime64("NaT", "us"), dates) if stands_for_none.any() else dates


def describe_texts(texts: np.ndarray) -> Floats:
    """Characters and words (as log(1+n)), and the shares of numerals, capitals and spaces."""
    return np.array([_describe_text(text) for text in texts.tolist()], dtype=np.float64).reshape(-1, 5)


def _describe_text(text: str | None) -> tuple[float, ...]:
    if text is None:
        return (np.nan,) * 5
    length = max(len(text), 1)
    plain = text.encode("ascii", "ignore")
    others = _PLAIN.sub("", text) if len(plain) < len(text) else ""
    return (
        float(np.log1p(len(text))),
        float(np.log1p(len(text.split()))),
        (_count_of(_NUMERALS, plain) + sum(map(str.isdigit, others))) / length,
        (_count_of(_CAPITALS, plain) + sum(map(str.isupper, others))) / length,
        (_count_of(_SPACES, plain) + sum(map(str.isspace, others))) / length,
    )


def _count_of(characters: bytes, plain: bytes) -> int:
    """How many of these characters there are: many times faster than to ask each character in turn."""
    return len(plain) - len(plain.translate(None, characters))


def with_vocabulary(table: pd.DataFrame, columns: Columns, fields: Sequence[str]) -> pd.DataFrame:
    """A table that describes rows, with their texts of these fields as `<field>:vocabulary`."""
    return table.assign(**{f"{name}:{VOCABULARY}": columns[name] for name in fields})


DERIVED = {
    "datetime": Derivation(
        ("days", "hour_sin", "hour_cos", "weekday_sin", "weekday_cos", "year_sin", "year_cos"),
        describe_dates,
    ),
    "text": Derivation(("length", "words", "numerals", "capitals", "spaces"), describe_texts),
}
"""Type of a field to its derivation."""
