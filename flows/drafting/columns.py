"""What a column holds: the type of field that fits it, or why it is no field, each with its evidence."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from configs.schema.record import Epoch
from features.records.spellings import (
    NEVER_VALUES,
    is_no_value,
    parse_number,
    spell_word,
    trim,
)
from features.records.times import Sentinel, order_hint, parse_time, read_epoch
from flows.drafting.names import is_of_time
from flows.drafting.sample import Column, spelled
from flows.drafting.spelling.alike import alike_words, is_truths
from flows.drafting.spelling.gaps import LEAST_NUMBERS, LEAST_SHARE
from flows.drafting.spelling.number_forms import plain_number_text
from flows.drafting.spelling.units import is_other_form, looks_like_number, without_unit

MOST_CLOSED = 30
"""Values of a closed category."""
LEAST_SEEN = 3
"""Rows in which each value of a closed category is seen: where one is seen once, others are not seen yet."""
LARGEST_INTEGER = 2**53 - 1
HUGE = 10**300
LONGEST_TEXT = 1_000_000
USUAL_LONGEST = 100_000
FEW_WORDS = 2.5
"""Mean number of words from which texts that differ are texts, not names of things."""
SAID_AGAIN = 0.5
"""Share of different values up to which texts are names of things."""
MOSTLY, FEW_NUMBERS = 0.95, 20
"""Share of a column that are numbers, with so many of them, where the others are mistakes."""
EPOCH_RANGES: dict[Epoch, tuple[float, float]] = {
    "s": (3e8, 4e9), "ms": (3e11, 4e12), "us": (3e14, 4e15), "ns": (3e17, 4e18),
}  # fmt: skip
"""1979 to 2096."""
LIKELY_EPOCHS: dict[Epoch, tuple[float, float]] = {
    "s": (946_684_800, 2_051_222_400), "ms": (946_684_800e3, 2_051_222_400e3),
    "us": (946_684_800e6, 2_051_222_400e6),
}  # fmt: skip
"""2000 to 2034: numbers of that range are told under any name."""
FEW_VALUES = 12
"""Values up to which what is not read as a number or a time is taken for words."""
_MONTHS = re.compile(
    r"\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\b.*\d|\d.*\b(jan|feb|mar|apr|may|jun|jul|aug|sep"
    r"|oct|nov|dec)[a-z]*\b",
    re.IGNORECASE,
)
_CODE = re.compile(r"(?=.*\d)[\w.:/#-]{6,}")

FieldKind = Literal["number", "integer", "boolean", "category", "text", "datetime"]
Reason = Literal[
    "empty", "constant", "nested", "repeated", "row_number", "id", "duplicate", "one_off", "unreadable_time",
    "unit", "leak", "asked", "group", "time", "source", "beside", "added",
]  # fmt: skip


@dataclass(frozen=True)
class Facts:
    """What was found of a column."""

    name: str
    present: list[Any]
    """Values of the sample that are there."""
    rows: int
    """In the sample."""
    missing: int
    """In the sample."""
    counts: Counter[str] | None
    """Of present values over the whole file; None: they are many."""
    elsewhere: int = 0
    """Rows of the file without a value where the sample has none such."""

    @property
    def can_be_missing(self) -> bool:
        """Whether any row of the file has no value."""
        return bool(self.missing or self.elsewhere)

    @property
    def distinct(self) -> int:
        """How many different values there are, in the sample if they are many."""
        return len(self.counts) if self.counts is not None else len(set(map(spelled, self.present)))


@dataclass(frozen=True)
class Guess:
    """A type and its options, or a reason to leave the column out; `why` says what it goes by."""

    kind: FieldKind | None
    why: str
    options: dict[str, Any] = field(default_factory=dict)
    reason: Reason | None = None
    doubt: str | None = None
    """What may be otherwise."""


def facts_of(column: Column, missing: Sequence[str]) -> Facts:
    """A column without what stands for no value."""
    marks = frozenset(map(trim, missing)) | {""}
    numbers = {number for mark in marks if (number := _number_of(mark)) is not None}
    present = [value for value in column.values if not _is_missing(value, marks, numbers)]
    counts = None
    if column.counts is not None:
        counts = Counter({value: rows for value, rows in column.counts.items() if trim(value) not in marks})
    absent = len(column.values) - len(present)
    # A gap that the sample does not hold is one all the same.
    elsewhere = column.gaps if not absent else 0
    return Facts(column.name, present, len(column.values), absent, counts, elsewhere)


def _number_of(text: str) -> float | None:
    try:
        return float(text) if text.startswith("-") else None
    except ValueError:
        return None


def _is_missing(value: Any, marks: frozenset[str], numbers: set[float]) -> bool:
    if isinstance(value, str):
        return trim(value) in marks
    return is_no_value(value) or (isinstance(value, int | float) and value in numbers)


def guess(facts: Facts, files: dict[str, str], *, nested: bool = False) -> Guess:
    """The type of field that a column is."""
    if nested:
        return Guess(None, "holds lists or objects, which no field of this kind takes", reason="nested")
    if any(isinstance(value, bytes) for value in facts.present):
        return Guess(None, "holds bytes that are no pictures, which no field takes", reason="nested")
    if not facts.present:
        return Guess(None, f"no value in {facts.rows:,} rows", reason="empty")
    if facts.distinct == 1 and not facts.can_be_missing:
        value = _shown(facts.present[0])
        return Guess(None, f"constant: {value} in every row", reason="constant")
    if (found := _boolean(facts)) is not None:
        return _with_missing(found, facts)
    known = _without_never(facts)
    for attempt in (_number, _time):
        if (found := attempt(known, files)) is not None:
            return _with_missing(found, known)
    return _with_missing(_odd_numbers(facts, files) or _with_numbers(_words(facts), facts, files), facts)


def _without_never(facts: Facts) -> Facts:
    """The same without the words that are no value where a field holds numbers or times, such as None."""
    present = [
        value
        for value in facts.present
        if not (isinstance(value, str) and trim(value).lower() in NEVER_VALUES)
    ]
    if not present or len(present) == len(facts.present):
        return facts
    counts = None
    if facts.counts is not None:
        counts = Counter(
            {text: rows for text, rows in facts.counts.items() if trim(text).lower() not in NEVER_VALUES}
        )
    absent = facts.missing + len(facts.present) - len(present)
    return replace(facts, present=present, missing=absent, counts=counts)


def reads_plainly(files: dict[str, str]) -> Callable[[str], bool]:
    """Whether a text is a number or a time, as the file writes them."""

    def reads(text: str) -> bool:
        return _as_number(text, files) is not None or _as_time(text) is not None

    return reads


def _with_missing(found: Guess, facts: Facts) -> Guess:
    if not facts.can_be_missing or found.kind is None:
        return found
    share = f"missing in {facts.missing:,} of {facts.rows:,} rows"
    if not facts.missing:
        share = f"missing in {facts.elsewhere:,} rows of the file"
    return Guess(found.kind, f"{found.why}; {share}", {**found.options, "nullable": True}, doubt=found.doubt)


def _boolean(facts: Facts) -> Guess | None:
    kinds = set(map(type, facts.present))
    if kinds == {bool}:
        return Guess("boolean", "true and false")
    if kinds != {str}:
        return None
    found = {trim(text).lower() for text in facts.present}
    if is_truths(found):
        spellings = sorted(set(map(trim, facts.present)))
        return Guess("boolean", f"{', '.join(spellings[:-1])} and {spellings[-1]} only")
    return None


def _number(facts: Facts, files: dict[str, str]) -> Guess | None:
    found = [_as_number(value, files) for value in facts.present]
    numbers = [number for number in found if number is not None]
    if len(numbers) < MOSTLY * len(found) or len(numbers) < min(len(found), FEW_NUMBERS):
        return None
    texts = [text for text in facts.present if isinstance(text, str)]
    if padded := [text for text in texts if re.fullmatch(r"0\d+", trim(text))]:
        return _category(facts, f"numbers with zeros before them, such as {_shown(padded[0])}, are a code")
    whole = all(float(number).is_integer() for number in numbers)
    largest = max(abs(number) for number in numbers)
    if whole and largest > LARGEST_INTEGER:
        return Guess(None, f"whole numbers of up to {len(str(int(largest)))} digits are ids", reason="id")
    if whole and (epoch := _epoch(facts.name, numbers)) is not None:
        first, last = read_epoch(min(numbers), epoch), read_epoch(max(numbers), epoch)
        why = f"numbers that are times since 1970 in {epoch}: {first:%Y-%m-%d} to {last:%Y-%m-%d}"
        return Guess("datetime", why, {"epoch": epoch})
    time_doubt = _looks_like_times(numbers) if whole else None
    options: dict[str, Any] = {}
    low, high = min(numbers), max(numbers)
    if len(numbers) < len(found):
        odd = next(value for value, number in zip(facts.present, found, strict=True) if number is None)
        doubt = f"{len(found) - len(numbers):,} rows hold no number, such as {_shown(odd)}, and are refused"
        return Guess("integer" if whole else "number", f"numbers in {len(numbers):,} rows", doubt=doubt)
    if whole and low == 0 and high == 1:
        return Guess("integer", "0 and 1 only", {"minimum": 0, "maximum": 1})
    why = ("whole" if whole else "numbers") + f" from {_short(low)} to {_short(high)}"
    if low >= 0:
        options["minimum"] = 0
        why += ", none below 0"
    return Guess("integer" if whole else "number", why, options, doubt=time_doubt)


def _looks_like_times(numbers: Sequence[float]) -> str | None:
    """What to look at of whole numbers that may be days or times."""
    if len(set(numbers)) <= FEW_VALUES:
        return None
    shown = f"{int(numbers[0])}"
    if all(_is_day(number) for number in numbers):
        return f"numbers such as {shown} look like days and are read as numbers; 2024-05-01 is read as a day"
    low, high = min(numbers), max(numbers)
    for unit, (least, most) in LIKELY_EPOCHS.items():
        if least <= low and high <= most:
            first, last = read_epoch(low, unit), read_epoch(high, unit)
            return (
                f"numbers such as {shown} may be times since 1970 ({first:%Y-%m-%d} to {last:%Y-%m-%d}) "
                f"and are read as numbers; `type: datetime, epoch: {unit}` reads them as times"
            )
    return None


def _time(facts: Facts, _files: dict[str, str]) -> Guess | None:
    times = _all(facts.present, _as_time)
    if times is not None:
        known = [one for one in times if one != datetime.min]
        if not known:
            return None
        why = f"times from {min(known):%Y-%m-%d} to {max(known):%Y-%m-%d}"
        if len(known) == len(times):
            return Guess("datetime", why)
        shown = _shown(facts.present[times.index(datetime.min)])
        doubt = f"{len(times) - len(known):,} rows hold a time such as {shown}, which stands for none"
        return Guess("datetime", why, {"nullable": True}, doubt=doubt)
    texts = [trim(text) for text in facts.present if isinstance(text, str)]
    if len(texts) < len(facts.present):
        return None
    odd = sum(
        bool(order_hint(text)) or (len(text) < 40 and _MONTHS.search(text) is not None) for text in texts
    )
    if odd < 0.9 * len(texts) or facts.distinct <= FEW_VALUES:
        return None
    because = ""
    if all(re.match(r"(0?\d|1[0-2])[-/.](0?\d|1[0-2])[-/.]\d", text) for text in texts):
        because = ", as day and month could be taken for each other"
    why = (
        f"dates such as {_shown(texts[0])} are not read{because}; write 2024-05-01 to have them learned from"
    )
    return Guess(None, why, reason="unreadable_time")


def _odd_numbers(facts: Facts, files: dict[str, str]) -> Guess | None:
    """Numbers with a unit, or with other marks than the file's: they are left out, unless they are few."""
    texts = [text for text in facts.present if isinstance(text, str) and any(map(str.isdecimal, text))]
    odd = next((text for text in texts if _as_number(text, files) is None), None)
    if odd is None or len(texts) < LEAST_SHARE * len(facts.present):
        return None
    if without_unit(texts) is not None:
        why = f"numbers with a unit, such as {_shown(texts[0])}, are not read; without the unit they are"
    elif is_other_form(texts):
        why = f"numbers as {_shown(odd)} is written are not read; numbers with a point and no other mark are"
    else:
        return None
    if facts.distinct <= FEW_VALUES:
        return replace(_category(facts), doubt=f"{why}: its {facts.distinct} values are taken for words")
    return Guess(None, why, reason="unit")


def _with_numbers(found: Guess, facts: Facts, files: dict[str, str]) -> Guess:
    """The same, and that many of the words are numbers, or look like such."""
    texts = list(map(spelled, facts.present))
    numbers = [text for text in texts if _as_number(text, files) is not None]
    told = None
    if len(set(numbers)) >= LEAST_NUMBERS and len(numbers) >= LEAST_SHARE * len(texts):
        odd = next((text for text in texts if _as_number(text, files) is None), texts[0])
        told = f"{len(numbers):,} of {len(texts):,} rows hold numbers, others words such as {_shown(odd)}"
    elif looks_like_number(texts) and not _is_padded(texts):
        told = f"values such as {_shown(texts[0])} look like numbers or times that are not read"
    if told is None:
        return found
    if found.kind is None:
        return replace(found, why=f"{found.why}; {told}")
    return replace(found, doubt=f"{told}: all are taken for words")


def _is_padded(texts: Sequence[str]) -> bool:
    return any(re.fullmatch(r"0\d+", trim(text)) for text in texts)


def _words(facts: Facts) -> Guess:
    texts = [spelled(value) for value in facts.present]
    rows, distinct = len(texts), len(set(texts))
    mean_words = sum(len(text.split()) for text in texts) / rows
    longest = max(map(len, texts))
    if facts.counts is not None and distinct <= MOST_CLOSED:
        return _category(facts)
    if distinct <= SAID_AGAIN * rows and longest <= 500 and (mean_words < 6 or distinct <= 0.1 * rows):
        return _category(facts)
    share = f"{distinct:,} different in {rows:,} rows"
    if mean_words >= FEW_WORDS or longest > 500 or _is_address(texts):
        options = {"max_length": LONGEST_TEXT} if longest > USUAL_LONGEST else {}
        doubt = (
            f"texts of more than {LONGEST_TEXT:,} characters are refused" if longest > LONGEST_TEXT else None
        )
        return Guess("text", f"texts of {mean_words:.0f} words on average, {share}", options, doubt=doubt)
    if sum(_CODE.fullmatch(trim(text)) is not None for text in texts) >= 0.9 * rows:
        return Guess(None, f"codes such as {_shown(texts[0])}, {share}", reason="one_off")
    if distinct <= 0.8 * rows:
        return _category(facts)
    if mean_words >= 1.5:
        return Guess("text", f"texts of {mean_words:.1f} words on average, {share}")
    return Guess(None, f"single words, {share}: too few rows for each to learn from", reason="one_off")


def _category(facts: Facts, because: str | None = None) -> Guess:
    counts = Counter[str]()
    for text, rows in (facts.counts or Counter(map(spelled, facts.present))).items():
        counts[spell_word(text)] += rows
    total, least = sum(counts.values()), min(counts.values())
    before = "" if because is None else f"{because}; "
    if facts.counts is None or len(counts) > MOST_CLOSED:
        return Guess("category", f"{before}{len(counts):,} values in {total:,} rows: open, others may come")
    alike = [words for words in alike_words(sorted(counts)) if len(words) > 1]
    doubt = None
    if alike:
        doubt = (
            f"{' and '.join(map(repr, alike[0]))} differ in spelling only, and are taken for different words"
        )
    seen = f"{before}{len(counts)} {'value' if len(counts) == 1 else 'values'} in {total:,} rows"
    if least < LEAST_SEEN or total < 5 * len(counts) or any(not _is_listable(word) for word in counts):
        return Guess("category", f"{seen}, the rarest in {least}: open, others may come", doubt=doubt)
    closed = {"categories": sorted(counts)}
    return Guess("category", f"{seen}, each in {least:,} or more: closed", closed, doubt=doubt)


def _is_listable(word: str) -> bool:
    return 0 < len(word) <= 200 and word.isprintable()


def _is_address(texts: Sequence[str]) -> bool:
    """Mail and web addresses, of which the parts are learned from."""
    return sum("@" in text or "://" in text for text in texts) >= 0.8 * len(texts)


def _epoch(name: str, numbers: Sequence[float]) -> Epoch | None:
    if not is_of_time(name):
        return None
    low, high = min(numbers), max(numbers)
    return next((unit for unit, (least, most) in EPOCH_RANGES.items() if least <= low and high <= most), None)


def _is_day(number: float) -> bool:
    """Whether a number is a day as 20240501, or a moment of it as 202405011230 and 20240501123000."""
    text = str(int(number))
    form = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}.get(len(text))
    if form is None or not "1800" <= text[:4] <= "2199":
        return False
    try:
        datetime.strptime(text, form)
    except ValueError:
        return False
    return True


def _all(values: Sequence[Any], read: Callable[[Any], Any]) -> list[Any] | None:
    """Every value as it is read; None as soon as one is not."""
    found = []
    for value in values:
        one = read(value)
        if one is None:
            return None
        found.append(one)
    return found


def _as_number(value: Any, files: dict[str, str]) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if abs(value) < HUGE else None
    if isinstance(value, float | Decimal):
        return float(value) if math.isfinite(value) else None
    if not isinstance(value, str):
        return None
    text = plain_number_text(value, files)
    if text is None:
        return None
    try:
        number = parse_number(text)
    except ValueError:
        return None
    return number if abs(number) < HUGE else None


def _as_time(value: Any) -> datetime | None:
    """A time; one that stands for none is the first that there is."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    if not isinstance(value, str):
        return None
    try:
        return parse_time(value)
    except Sentinel:
        return datetime.min
    except (ValueError, OverflowError):
        return None


def times_of(values: Sequence[Any], epoch: Epoch | None) -> list[datetime | None]:
    """Values of a column of times; None where there is none."""
    found: list[datetime | None] = []
    for value in values:
        moment: datetime | None
        if epoch is not None and not is_no_value(value) and str(value).lower() not in NEVER_VALUES:
            try:
                moment = read_epoch(value, epoch)
            except (ValueError, ArithmeticError):
                moment = None
        else:
            moment = _as_time(value)
        found.append(None if moment == datetime.min else moment)
    return found


def numbers_of(values: Sequence[Any], files: dict[str, str]) -> list[float | None]:
    """Values of a column of numbers; None where there is none."""
    return [_as_number(value, files) for value in values]


def _short(number: float) -> str:
    return f"{number:,.0f}" if float(number).is_integer() and abs(number) < 1e15 else f"{number:.4g}"


def _shown(value: Any) -> str:
    text = spelled(value)
    return repr(text if len(text) <= 40 else text[:37] + "...")
