"""What stands before the fraction of a file's numbers, and between their groups of digits.

`12,345` alone may be twelve and a fraction, or twelve thousand. What the other numbers of the file show
decides: `0,5` and `1,25` are fractions, `1,234,567` and `1,234.5` groups, `0.5` a point before the fraction.
Where nothing shows, that is told.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any, Literal

from features.files.readers.delimited.number_forms import one_blank
from features.records.spellings import trim

Decimal = Literal[".", ","]
Thousands = Literal[".", ",", " ", "'"]
Form = tuple[Decimal, Thousands | None]
FORMS: tuple[Form, ...] = (
    (".", None), (",", None), (".", ","), (",", "."), (",", " "), (".", " "), (".", "'"), (",", "'"),
)  # fmt: skip
"""Ways to write numbers: decimal mark, and what stands between groups of three digits."""
POINT, COMMA, COMMA_GROUPS, COMMA_POINTS = FORMS[:4]
MOSTLY = 0.95
"""Share of a column's texts that have a form, from which it is one of numbers written so."""
MOST_TEXTS, FEWEST_TEXTS, ALL_TEXTS = 500, 30, 60_000
"""Different texts of a column that are looked at; of one of very many; of all columns."""
_MARK = re.compile("[.,' ]")
_MARKED = re.compile(r"[, ']|\..*\.")


def number_form(columns: Collection[Sequence[Any]], separator: str = ",") -> Form:
    """How the numbers of CSV are written: the form that most of them have.

    Args:
        columns: values of each.
        separator: between columns; where it is `;`, the comma is likely that of fractions.
    """
    marked, scores = _scores(columns)
    best = [form for form in FORMS if scores and scores[form] == max(scores.values())]
    if COMMA in best and COMMA_GROUPS in best and POINT not in best:
        with_commas = [texts for texts in marked if any("," in text for text in texts)]
        is_fixed = all("," in text for texts in with_commas for text in texts)
        return COMMA if separator == ";" and is_fixed else COMMA_GROUPS
    return best[0] if best else POINT


def doubt_of_form(columns: Mapping[str, Sequence[Any]], form: Form, separator: str) -> str | None:
    """What to look at where a mark may be of groups or of fractions, and no number shows which."""
    if form == POINT and separator == ";":
        mark, other = ".", COMMA_POINTS
    elif form in (COMMA, COMMA_GROUPS):
        mark, other = ",", COMMA_GROUPS if form == COMMA else COMMA
    else:
        return None
    most = _most_texts(len(columns))
    _, scores = _scores(columns.values(), are_marked=True)
    if scores[form] != scores[other]:
        return None
    doubtful = None
    for name, values in columns.items():
        texts = [text for text in number_texts(values, most) if mark in text]
        fitting = [text for text in texts if has_form(text, form)]
        if not fitting or len(fitting) < MOSTLY * len(texts):
            continue
        if not all(has_form(text, other) for text in fitting):
            return None
        doubtful = doubtful or (name, fitting[0])
    if doubtful is None:
        return None
    name, text = doubtful
    keys = ", ".join(f"{key}: '{value}'" for key, value in declared(other).items())
    return (
        f"column '{name}': '{text}' is read as {_plain(text, form)}; no number of the file shows whether "
        f"'{mark}' stands before fractions or between groups of three digits. Where it is "
        f"{_plain(text, other)}, `files: {{{keys}}}` says so"
    )


def _scores(
    columns: Collection[Sequence[Any]], *, are_marked: bool = False
) -> tuple[list[list[str]], Counter[Form]]:
    """Columns of numbers with marks, and the shares of their texts that have each form, summed up."""
    most = _most_texts(len(columns))
    found = [texts for values in columns if any(map(_MARK.search, texts := number_texts(values, most)))]
    if not are_marked and not any(_MARKED.search(text) for texts in found for text in texts):
        return [], Counter()
    scores: Counter[Form] = Counter()
    numbers = []
    for texts in found:
        fitting = {form: sum(has_form(text, form) for text in texts) for form in FORMS}
        enough = {form: count for form, count in fitting.items() if count >= MOSTLY * len(texts)}
        if enough:
            numbers.append(texts)
            scores.update({form: round(1e6 * count / len(texts)) for form, count in enough.items()})
    return numbers, scores


def declared(form: Form) -> dict[str, str]:
    """A form as the keys of `files` that say so."""
    keys: dict[str, str] = {} if form == POINT else {"decimal": form[0]}
    return keys if form[1] is None else {**keys, "thousands": form[1]}


def _most_texts(columns: int) -> int:
    """Texts of a column that are looked at, where there are so many columns."""
    return max(FEWEST_TEXTS, min(MOST_TEXTS, ALL_TEXTS // max(1, columns)))


def number_texts(values: Sequence[Any], most: int) -> list[str]:
    """Some of the different texts of a column that hold digits, as numbers do, from all over it."""
    found: dict[str, None] = {}
    for value in values[:: max(1, len(values) // (4 * most))]:
        if isinstance(value, str):
            text = one_blank(trim(value))
            if "#" not in text and any(map(str.isdecimal, text)):
                found[text] = None
                if len(found) == most:
                    break
    return list(found)


def has_form(text: str, form: Form) -> bool:
    """Whether a text is a number written so."""
    return _pattern(*form).fullmatch(text) is not None


@cache
def _pattern(decimal: str, thousands: str | None) -> re.Pattern[str]:
    point = re.escape(decimal)
    whole = r"\d+" if thousands is None else rf"(?:[1-9]\d{{0,2}}(?:{re.escape(thousands)}\d{{3}})+|\d+)"
    return re.compile(rf"[+-]?(?:{whole}(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d+)?")


def plain_number_text(text: str, files: Mapping[str, str]) -> str | None:
    """The text of a number as `files` declares it, written with a point alone; None: it is none so.

    >>> plain_number_text("1.234,5", {"decimal": ",", "thousands": "."})
    '1234.5'
    """
    decimal, thousands = files.get("decimal", "."), files.get("thousands")
    if decimal == "." and thousands is None:
        return text
    text = one_blank(trim(text))
    if _pattern(decimal, thousands).fullmatch(text) is None:
        return None
    return (text.replace(thousands, "") if thousands else text).replace(decimal, ".")


def _plain(text: str, form: Form) -> str | None:
    return plain_number_text(text, declared(form))
