"""The ids that callers have for records, and names of who labelled them: one spelling in every door."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from features.records.error_messages import describe
from features.records.fields import MARKERS, MISSING, describe_marker, note_of
from features.records.scalars.numbers import plain_number
from features.records.spellings import EXACT_FLOAT, LARGEST_ID, SMALLEST_ID, is_no_value, spell_id

MAX_ID = 500
MAX_SOURCE = 64
ALLOWED_SOURCE = f"a name of 1 to {MAX_SOURCE} printable characters"
ALLOWED = f"a whole number, or text of at most {MAX_ID} printable characters"


def read_id(value: Any, markers: Collection[str] = MARKERS) -> tuple[str | None, str | None]:
    """The id as text, None where there is none, and how it was read, if that is worth a note.

    Zeros before a number are part of it: 007 is not 7.

    >>> read_id(953.0)[0], read_id(" 953 ")[0], read_id("0953")[0]
    ('953', '953', '0953')

    Raises:
        ValueError: it cannot be one; the message says what arrived and what is allowed.
    """
    if is_no_value(value):
        return None, None if value is None else MISSING + describe_marker(value)
    if not isinstance(value, str):
        return _of_number(value), None
    word = spell_id(value)
    if word in markers:
        return None, MISSING + word
    if len(word) > MAX_ID:
        raise ValueError(f"got {len(word)} characters; allowed: {ALLOWED}")
    if not word.isprintable():
        raise ValueError(f"got {describe(value)}; allowed: {ALLOWED}")
    return word, note_of(value, word)


def read_source(value: Any, markers: Collection[str] = MARKERS) -> str | None:
    """The name of who says what label a record has, spelled as ids are; None: nobody is named.

    >>> read_source(" ann "), read_source(7.0), read_source("")
    ('ann', '7', None)

    Raises:
        ValueError: it cannot be one; the message says what arrived and what is allowed.
    """
    try:
        name = read_id(value, markers)[0]
    except ValueError as error:
        raise ValueError(f"got {describe(value)}; allowed: {ALLOWED_SOURCE}") from error
    if name is not None and len(name) > MAX_SOURCE:
        raise ValueError(f"got {len(name)} characters; allowed: {ALLOWED_SOURCE}")
    return name


def is_plain_id(value: Any, markers: Collection[str] = MARKERS) -> bool:
    """Whether a value is absent, or an id that is spelled as it will be kept."""
    if value is None or type(value) is int:
        return value is None or SMALLEST_ID <= value <= LARGEST_ID
    return (
        type(value) is str
        and len(value) <= MAX_ID
        and value.isprintable()
        and spell_id(value) == value
        and value not in markers
    )


def _of_number(value: Any) -> str:
    number = plain_number(value)
    if isinstance(number, float) and number.is_integer() and abs(number) < EXACT_FLOAT:
        number = int(number)
    if not isinstance(number, int) or not SMALLEST_ID <= number <= LARGEST_ID:
        raise ValueError(f"got {describe(value)}; allowed: {ALLOWED}")
    return str(number)
