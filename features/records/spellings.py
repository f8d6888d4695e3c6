"""One spelling for what is written in several ways: words, ids, numbers, booleans, and marks of no value.

The rules are the same for every door: a file of any kind, a request, a data frame. They look at one value
by itself, never at its neighbours. docs/values.md states them for users.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import date, time
from decimal import Decimal
from typing import Any

import numpy as np

from configs.spelling.letters import compose

EXACT_FLOAT = 2**53
"""From here on a fraction of 64 bits may stand for several whole numbers."""
SMALLEST_ID, LARGEST_ID = -(2**63), 2**64 - 1
TRUE = frozenset({"true", "t", "yes", "y", "on"})
FALSE = frozenset({"false", "f", "no", "n", "off"})
NEVER_VALUES = frozenset({"", "na", "n/a", "<na>", "#n/a", "nan", "-nan", "nat", "null", "none", "\\n"})
"""In lower case: what no number, truth or time can be, so that it always means "no value" there."""

_BLANKS = "".join(
    map(
        chr,
        [*range(9, 14), *range(28, 33), 0x85, 0xA0, 0xAD, 0x1680, 0x180E, *range(0x2000, 0x2010), 0x2028,
         0x2029, *range(0x202A, 0x2030), *range(0x205F, 0x2065), *range(0x2066, 0x206A), 0x3000, 0xFEFF],
    )
)  # fmt: skip
"""Blanks, and what cannot be seen: of no width, marks of direction and of byte order, soft hyphens."""
_NUMERAL = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_DIGITS = re.compile(r"[+-]?\d{1,300}")
_WHOLE_WITH_POINT = re.compile(r"(-?(?:0|[1-9][0-9]*))\.0+")
_UNPADDED = re.compile(r"[+-]?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_LONGEST = 100
_PLAIN = re.compile(r"[A-Za-z0-9_:/#-]+(?: [A-Za-z0-9_:/#-]+)*")
"""Words that are spelled as they should be, save for true and false: most of them."""


def trim(text: str) -> str:
    """The text without blanks and invisible characters around it, of whatever alphabet."""
    return text.strip(_BLANKS)


def spell_word(text: str) -> str:
    r"""The one spelling of a category or a class.

    Blanks around it go, letters are composed (Unicode NFC), a whole number loses its `.0`, and true and false
    are in lower case.

    >>> [spell_word(text) for text in (" x ", "1.0", "007", "1.50", "TRUE", "cafe\u0301")]
    ['x', '1', '007', '1.50', 'true', 'café']
    """
    word = spell_id(text)
    lower = word.lower() if len(word) in (4, 5) else word
    return lower if lower in ("true", "false") else word


def spell_id(text: str) -> str:
    """The one spelling of an id: as for words, but true and false are as any other.

    >>> spell_id(" 953.0 "), spell_id("0953"), spell_id("True")
    ('953', '0953', 'True')
    """
    if _PLAIN.fullmatch(text):
        return text
    word = compose(trim(text))
    match = _WHOLE_WITH_POINT.fullmatch(word)
    if match is None:
        return word
    return "0" if match[1] == "-0" else match[1]


def word_of(value: Any) -> str | None:
    """Numbers, truths and dates as words; None for arrays, objects, and numbers that are not exact.

    >>> word_of(3), word_of(3.0), word_of(2.5), word_of(True), word_of(1e20)
    ('3', '3', '2.5', 'true', None)
    """
    if isinstance(value, np.bool_ | np.integer):
        value = value.item()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if SMALLEST_ID <= value <= LARGEST_ID else None
    if isinstance(value, float | np.floating):
        return _fraction(value)
    if isinstance(value, date | time):
        return str(value)
    if isinstance(value, Decimal) and value.is_finite():
        return str(int(value)) if value == value.to_integral_value() else format(value.normalize(), "f")
    return None


def _fraction(value: float | np.floating[Any]) -> str | None:
    """Shortest text of a number of 16, 32 or 64 bits."""
    number = float(value)
    if not math.isfinite(number) or abs(number) >= EXACT_FLOAT:
        return None
    return str(int(number)) if number.is_integer() else str(value)


def parse_number(text: str) -> float:
    """A number as people and programs write it: a point, no separators of thousands, no unit.

    Digits of any alphabet and the sign for minus (U+2212) are read; whole numbers stay exact.

    Raises:
        ValueError: it is none.
    """
    plain = trim(text).replace("\u2212", "-")
    if _DIGITS.fullmatch(plain):
        return int(plain)
    if _NUMERAL.fullmatch(plain) is None:
        raise ValueError(text)
    return float(plain)


def parse_truth(text: str) -> bool:
    """A truth by its usual spellings, in any case, or a number that is 0 or 1.

    Raises:
        ValueError: it is none.
    """
    word = trim(text).lower()
    if word in TRUE or word in FALSE:
        return word in TRUE
    number = parse_number(word)
    if number in (0, 1):
        return bool(number)
    raise ValueError(text)


def is_no_value(value: Any) -> bool:
    """Whether a value that is no text stands for none: null, NaN, and pandas' NaT and NA."""
    if value is None:
        return True
    if isinstance(value, float | np.floating):
        return bool(value != value)
    if isinstance(value, np.datetime64):
        return bool(np.isnat(value))
    if isinstance(value, Decimal):
        return value.is_nan()
    return type(value).__name__ in ("NaTType", "NAType")


class ClosedSet:
    """The words of a closed set, found by any spelling that can mean only one of them.

    A word is found exactly; else by its one spelling, or as the same number. Where true and false are among
    the words, 1 and 0 mean them, and the other way round.

    >>> ClosedSet(["0", "1"]).find("True"), ClosedSet(["1.5", "2"]).find(2.0)
    ('1', '2')
    """

    def __init__(self, words: Iterable[str]) -> None:
        self.words = frozenset(words)
        self._by_spelling = _unique((spell_word(word), word) for word in self.words)
        self._by_spelling |= {word: word for word in self.words if spell_word(word) == word}
        numbers = ((_number(word), word) for word in self.words)
        self._by_number = _unique((number, word) for number, word in numbers if number is not None)
        for truths, others in ((("0", "1"), ("false", "true")), (("false", "true"), ("0", "1"))):
            if self._by_spelling.keys() >= set(truths) and self._by_spelling.keys().isdisjoint(others):
                self._by_spelling |= {
                    there: self._by_spelling[here] for here, there in zip(truths, others, strict=True)
                }
                break

    def find(self, value: Any) -> str | None:
        """The word that is meant, if any."""
        if isinstance(value, str):
            if value in self.words:
                return value
            word: str | None = spell_word(value)
        else:
            word = word_of(value)
        if word is None or word in self._by_spelling:
            return None if word is None else self._by_spelling[word]
        return self._by_number.get(_number(word))


def _unique(pairs: Iterable[tuple[Any, str]]) -> dict[Any, str]:
    """Key to word, without the keys that several words share."""
    words: dict[Any, str] = {}
    shared = set()
    for key, word in pairs:
        if words.setdefault(key, word) != word:
            shared.add(key)
    return {key: word for key, word in words.items() if key not in shared}


def _number(word: str) -> Decimal | None:
    """The number that a word is, without zeros before it, which would be part of a name."""
    return Decimal(word) if len(word) < _LONGEST and _UNPADDED.fullmatch(word) else None
