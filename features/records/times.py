"""Texts and numbers that are times: one grammar, whatever brings them.

A time is ISO 8601 with separators, as pandas, Spark, Java, R and databases write it; without an offset it is
UTC. Digits alone are no time, unless a field says which epoch they count from. docs/values.md says all.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.schema.record import Epoch
from features.records.spellings import parse_number, trim

EPOCH_UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
DIGITS_HINT = "mere digits are a time only where the configuration says `{key}: s`, `ms`, `us` or `ns`"
FIRST_YEAR, LAST_YEAR = 1000, 2899
"""Times outside these years stand for "never", "unknown" or "without end"."""

_TICKS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_ZERO = datetime(1970, 1, 1)
_YEAR = 31_556_952_000_000
_DIGITS = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?Z?")
_OTHER_ORDER = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}\b.*", re.DOTALL)
_EXTENDED = re.compile(
    r"(\d{4}-\d\d-\d\d)"
    r"(?:[T ](\d\d:\d\d(?::\d\d(?:[.,]\d{1,30})?)?) ?(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?"
    r"(?:\[[A-Z/_+0-9-]{1,50}\])?)?",
    re.ASCII,
)
_BASIC = re.compile(
    r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(?:(\d\d)((?:[.,]\d{1,30})?))?(Z|[+-]\d\d(?::?\d\d)?)?", re.ASCII
)
_PANDAS = (np.datetime64("1677-09-21T00:12:43"), np.datetime64("2262-04-11T23:47:16"))
"""The first and the last second that pandas can hold: what it makes of times beyond."""
_PANDAS_ENDS: tuple[datetime, ...] = tuple(end.item() for end in _PANDAS)  # type: ignore[misc]
_PANDAS_YEARS = tuple(end.year for end in _PANDAS_ENDS)


class Sentinel(ValueError):
    """A time that stands for no time; `year` is its own."""

    def __init__(self, year: int) -> None:
        super().__init__(f"a time of the year {year}")
        self.year = year


def parse_time(text: str) -> datetime:
    """Read a time as a naive one in UTC.

    >>> parse_time("2024-05-01T12:30:00+02:00"), parse_time("2024-05-01 24:00")
    (datetime.datetime(2024, 5, 1, 10, 30), datetime.datetime(2024, 5, 2, 0, 0))

    Raises:
        Sentinel: it stands for no time.
        ValueError: it is none.
    """
    moment = _read_regular(text)
    if moment is None:
        moment = _read_rare(text)
    return _ensure_time(moment)


def is_regular_time(value: Any) -> bool:
    """Whether a value is the text of a time as most programs write it, which `load_time` reads."""
    if type(value) is not str:
        return False
    try:
        moment = _read_regular(value)
        return moment is not None and _ensure_time(moment) is not None
    except Sentinel:
        return False


def load_time(text: str) -> datetime:
    """The time, in UTC, of a text that was checked once; those of old rows may be sentinels."""
    return _in_utc(datetime.fromisoformat(text))


def is_digits(text: str) -> bool:
    """Whether a text is but a number, or digits with a Z, which may be an epoch or a date."""
    return _DIGITS.fullmatch(trim(text)) is not None


def order_hint(text: str) -> str:
    """What to say of a text that looks like a date of which day and month cannot be told apart."""
    odd = _OTHER_ORDER.match(trim(text))
    return "the year comes first, in four digits, then month and day" if odd else ""


def _read_regular(text: str) -> datetime | None:
    """The time, in UTC, of a text as most programs write it; None for any other text."""
    if text[4:8:3] != "--" or text[10:11] not in ("T", " ", ""):
        return None
    try:
        return _in_utc(datetime.fromisoformat(text))
    except ValueError:
        return None
    except OverflowError as error:
        raise Sentinel(int(text[:4])) from error


def read_epoch(value: float | Decimal | str, epoch: Epoch) -> datetime:
    """The time so many seconds (or parts of them) after 1970 began in UTC.

    Raises:
        Sentinel: it stands for no time.
        ValueError: it is no number, or beyond what a time can be.
    """
    number = Decimal(str(parse_number(value) if isinstance(value, str) else value))
    try:
        moment = _ZERO + timedelta(microseconds=int(number * 1_000_000 // _TICKS[epoch]))
    except (OverflowError, ArithmeticError) as error:
        raise ValueError(str(value)) from error
    return _ensure_time(moment)


def as_utc(value: Any) -> datetime | None:
    """The time of a date, a time or NumPy's; None for a value of another type.

    Raises:
        Sentinel: it stands for no time.
    """
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[us]").item()
        if isinstance(value, int):  # microseconds of a time beyond the years 1 to 9999
            raise Sentinel(1970 + value // _YEAR)
    if isinstance(value, datetime):
        try:
            return _ensure_time(_in_utc(value.replace(fold=0)))
        except OverflowError as error:
            raise Sentinel(value.year) from error
    if isinstance(value, date):
        return _ensure_time(datetime(value.year, value.month, value.day))
    return None


def sentinel_mask(column: NDArray[Any]) -> NDArray[np.bool_]:
    """Which times of a column datetime64[us] stand for no time."""
    low, high = np.datetime64(f"{FIRST_YEAR}-01-01", "us"), np.datetime64(f"{LAST_YEAR + 1}-01-01", "us")
    mask: NDArray[np.bool_] = (column < low) | (column >= high)
    if len(column):
        mask |= np.isin(column.astype("datetime64[s]"), _PANDAS)
    mask &= ~np.isnat(column)
    return mask


def _ensure_time(moment: datetime) -> datetime:
    year = moment.year
    if not FIRST_YEAR <= year <= LAST_YEAR or (year in _PANDAS_YEARS and _is_pandas_end(moment)):
        raise Sentinel(year)
    return moment


def _is_pandas_end(moment: datetime) -> bool:
    return moment.replace(microsecond=0) in _PANDAS_ENDS


def _read_rare(text: str) -> datetime:
    """A time with blanks around, a zone in words, 24:00, a leap second, or in ISO 8601's basic form."""
    plain = trim(text).upper()
    if plain.startswith("0000-"):  # the year before 1, and MySQL's 0000-00-00
        raise Sentinel(0)
    match = _EXTENDED.fullmatch(plain)
    if match is not None:
        day, clock, zone = match.groups()
    else:
        match = _BASIC.fullmatch(plain)
        if match is None:
            raise ValueError(text)
        year, month, date_, hour, minute, second, fraction, zone = match.groups()
        day = f"{year}-{month}-{date_}"
        clock = f"{hour}:{minute}" + ("" if second is None else f":{second}{fraction}")
    return _join(day, clock or "00:00", "" if zone is None else zone.replace("UTC", "Z").replace("GMT", "Z"))


def _join(day: str, clock: str, zone: str) -> datetime:
    later = timedelta()
    if clock[:5] == "24:00" and not clock[5:].strip(":.,0"):
        clock, later = "00:00", timedelta(days=1)
    elif clock[5:8] == ":60":
        clock, later = f"{clock[:6]}59{clock[8:]}", timedelta(seconds=1)
    try:
        moment = _in_utc(datetime.fromisoformat(f"{day}T{clock}{zone}")) + later
    except OverflowError as error:
        raise Sentinel(int(day[:4])) from error
    if later.seconds == 1 and (moment.hour, moment.minute, moment.second) != (0, 0, 0):
        raise ValueError(f"{day}T{clock}: a leap second comes at the end of a day in UTC only")
    return moment


def _in_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
