"""Numbers with a unit, and numbers that are written in a way that is not read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from features.files.readers.delimited.number_forms import one_blank
from features.records.spellings import parse_number, trim
from flows.drafting.spelling.number_forms import (
    FORMS,
    MOSTLY,
    declared,
    has_form,
    number_form,
    plain_number_text,
)

SHARE = 0.9
"""Of a column's texts that hold a number and a unit, from which it is one of such."""
_SIGNS = "%‰°$€£¥₹₽₩"
_NUMBER = r"[+-]?\d(?:[\d.,' \u00a0\u202f]*\d)?"
_UNIT = re.compile(
    rf"[+-]?(?P<before>(?:[A-Z]{{1,3}})?[{_SIGNS}]|(?:USD|EUR|GBP|CHF|JPY)(?=[\s\d]))?\s*(?P<number>{_NUMBER})"
    rf"\s*(?P<after>°?[CFK]|[{_SIGNS}]|[a-zA-Zµ]{{1,5}}[²³]?(?:/[a-zA-Z]{{1,3}}[²³]?)?)?"
)
_KNOWN = frozenset(
    {"kg", "g", "mg", "t", "lb", "lbs", "oz", "km", "m", "cm", "mm", "mi", "ft", "in", "s", "sec", "secs",
     "min", "mins", "h", "hr", "hrs", "d", "day", "days", "ms", "us", "ns", "l", "ml", "cl", "kb", "mb",
     "gb", "tb", "w", "kw", "kwh", "v", "hz", "khz", "mhz", "ghz", "eur", "usd", "gbp", "chf", "jpy", "k",
     "b", "bn", "mn", "mio", "mrd", "year", "years", "yr", "yrs"}
)  # fmt: skip
"""In lower case: units that may stand beside each other in a column; other endings may be parts of codes."""
_OTHER_NUMBERS = re.compile(
    r"\d{1,6}\s?/\s?\d{1,6}|[+-]?\d+(?:[,'_ ]\d+)*(?:\.\d+)?[+-]?|0[xX][0-9a-fA-F]+|\(\d[\d.,]*\)"
    r"|[~≈]\s?[+-]?\d[\d.,]*|\d{1,3}:\d{2}(?::\d{2}(?:\.\d+)?)?"
    r"|(?:\d+(?:\.\d+)?\s?(?:days?|d|hours?|hrs?|h|mins?|m|secs?|s|ft|in|'|\")\s?){2,}"
    r"|[+-]?\d+(?:\.\d+)?\s*,\s*[+-]?\d+(?:\.\d+)?"
)
"""Fractions, odd groups, hexadecimal, in brackets, about so many, times of day, lengths of time, pairs."""


@dataclass(frozen=True)
class Quantities:
    """Texts that are numbers, in whatever way they are written."""

    numbers: tuple[float, ...]
    unit: str | None
    """What stands beside each number; None: nothing."""


def without_unit(texts: Sequence[str]) -> tuple[list[str], str] | None:
    """The numbers of texts with a unit, as texts, and the most frequent unit; None: they are no such.

    Endings that differ and are no known units, as those of `1st` and `2nd` or `12A` and `12B`, are parts of
    codes.
    """
    matches = [found for text in texts if (found := _UNIT.fullmatch(trim(text))) is not None]
    pairs = [(found["number"], (found["before"] or "") + (found["after"] or "")) for found in matches]
    units = Counter(unit for _, unit in pairs if unit)
    if not units or units.total() < SHARE * len(texts):
        return None
    is_one = units.most_common(1)[0][1] >= SHARE * len(texts)
    if not is_one and not all(unit.lower() in _KNOWN or unit in _SIGNS for unit in units):
        return None
    return [number for number, _ in pairs], units.most_common(1)[0][0]


def quantities(texts: Sequence[str]) -> Quantities | None:
    """The numbers that nearly all texts are, with a unit or none, by whatever marks; None: they are none."""
    found = without_unit(texts)
    numbers, unit = (list(texts), None) if found is None else found
    form = declared(number_form([numbers]))
    read = [number for text in numbers if (number := _read(text, form)) is not None]
    return Quantities(tuple(read), unit) if texts and len(read) >= 0.98 * len(texts) else None


def plain_number(text: str) -> float | None:
    """The number that a text is without marks of groups, decimal commas and units; None: it is none."""
    return _read(text, {})


def _read(text: str, form: dict[str, str]) -> float | None:
    plain = plain_number_text(text, form)
    try:
        number = None if plain is None else float(parse_number(plain))
    except (ValueError, OverflowError):
        return None
    return number if number is not None and abs(number) < float("inf") else None


def is_other_form(texts: Sequence[str]) -> bool:
    """Whether nearly all texts are numbers by one way to write them or another."""
    fitting = sum(any(has_form(one_blank(trim(text)), form) for form in FORMS) for text in texts)
    return fitting >= MOSTLY * len(texts)


def looks_like_number(texts: Sequence[str]) -> bool:
    """Whether nearly all texts look like numbers or times that are not read."""
    return sum(_OTHER_NUMBERS.fullmatch(trim(text)) is not None for text in texts) >= SHARE * len(texts)
