"""Marks of no value, beyond those that are always read so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from features.records.spellings import NEVER_VALUES, trim
from flows.drafting.sample import DEFAULT_MISSING, Column

ODD_MARKERS = frozenset(
    {"?", "-", "--", "---", ".", "..", "*", "**", "n.a.", "na.", "n.d.", "n/d", "nil", "missing",
     "unknown", "#div/0!", "#value!", "#ref!", "#num!", "#name?", "#null!", "inf", "-inf", "+inf",
     "infinity", "-infinity", "+infinity", "∞", "-∞", "1.#ind", "-1.#ind", "1.#inf", "-1.#inf", "1.#qnan",
     "-1.#qnan", "(null)", "[null]", "not available", "not applicable", "tbd", "tba", "tbc", "n.a",
     "no data", "undefined", "(none)", "(blank)"}
)  # fmt: skip
"""In lower case: what stands for no value where all others of a column are numbers or times."""
SIGNS = frozenset({"?", "-", "--", "---", "."})
"""Those of them that mean the same among words."""
NEGATIVE_CODES = (-9.0, -99.0, -999.0, -9999.0, -99999.0)
FEW = 0.4
"""Share of a column that may be marks of no value, where the others are words."""
FEW_WORDS, LEAST_NUMBERS, LEAST_SHARE, LEAST_SEEN = 3, 10, 0.5, 2
"""Different words of a column that stand for no value, where so many different numbers and such a share of
numbers are beside them; and how often each is there, as what is there once is a mistake."""

Reads = Callable[[str], bool]


def extra_missing(columns: Iterable[Column], reads: Reads, classes: set[str]) -> dict[str, str]:
    """Marks of no value beyond those that are always read so, each with where it was seen.

    Args:
        reads: whether a text is a number or a time.
        classes: what the target holds: no mark is one of them.
    """
    found: dict[str, str] = {}
    columns = list(columns)
    odd: dict[str, Counter[str]] = {}
    for column in columns:
        texts = _texts(column)
        marks = Counter(text for text in texts if text.lower() in ODD_MARKERS)
        others = [text for text in texts if text.lower() not in ODD_MARKERS]
        is_plain = bool(others) and all(map(reads, others))
        if marks and (is_plain or marks.total() <= max(FEW * len(texts), 1)):
            for mark, count in marks.items():
                if (is_plain or mark in SIGNS) and mark not in classes:
                    found.setdefault(mark, f"'{mark}' in {count} rows of '{column.name}'")
        if not is_plain and others:
            odd[column.name] = _words_among_numbers(texts, reads)
        for mark, count in _negative_codes(column, reads).items():
            if mark not in classes:
                found.setdefault(
                    mark, f"{mark} in {count} rows of '{column.name}', where nothing else is below 0"
                )
    for name, words in odd.items():
        elsewhere = _words_of(column for column in columns if column.name not in odd or not odd[column.name])
        for word, count in words.items():
            if word not in classes | elsewhere:
                found.setdefault(word, f"'{word}' in {count} rows of '{name}', where all others are numbers")
    return found


def _texts(column: Column) -> list[str]:
    """Those that are not always read as no value."""
    known = {one.lower() for one in DEFAULT_MISSING} | NEVER_VALUES
    texts = (trim(value) for value in column.values if isinstance(value, str))
    return [text for text in texts if text.lower() not in known]


def _words_among_numbers(texts: Sequence[str], reads: Reads) -> Counter[str]:
    """Words without digits in a column of many numbers, where they are few and each is there again."""
    numbers = [text for text in texts if reads(text)]
    others = Counter(text for text in texts if not reads(text))
    is_clear = len(set(numbers)) >= LEAST_NUMBERS and len(numbers) >= LEAST_SHARE * len(texts)
    if not is_clear or len(others) > FEW_WORDS or any(times < LEAST_SEEN for times in others.values()):
        return Counter()
    if any(char.isdigit() for word in others for char in word if word.lower() not in ODD_MARKERS):
        return Counter()
    return others


def _words_of(columns: Iterable[Column]) -> set[str]:
    """Texts of columns, where they are few enough to be words of a category."""
    return {trim(text) for column in columns for text in column.counts or ()}


def _negative_codes(column: Column, reads: Reads) -> Counter[str]:
    """-999 and its like, where all other numbers are 0 or more."""
    texts = [str(value) for value in column.values if isinstance(value, int | float | str)]
    below = Counter(trim(text) for text in texts if trim(text).startswith("-") and len(trim(text)) > 2)
    if not below or len(below) > 2:
        return Counter()
    try:
        codes = {text: float(text) for text in below}
    except ValueError:
        return Counter()
    if any(value not in NEGATIVE_CODES[1:] for value in codes.values()):
        return Counter()
    others = [text for text in texts if trim(text) not in below and trim(text)]
    if not others or not all(reads(text) for text in others if text.lower() not in NEVER_VALUES):
        return Counter()
    return Counter({str(int(value)): below[text] for text, value in codes.items()})
