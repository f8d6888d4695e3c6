"""How a file is written, where its reader has to be told: encoding, separator, numbers, marks of no value."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from configs.near_names import meant
from configs.schema.files import FilesConfig
from features.errors import SourceError
from features.files.missing_columns import SEPARATORS
from features.files.readers.encodings import likely_encoding
from features.records.spellings import NEVER_VALUES, trim
from flows.drafting.errors import CannotDraft
from flows.drafting.sample import DEFAULT_MISSING, Column, Sample, read_sample

ODD_MARKERS = frozenset(
    {"?", "-", "--", "---", ".", "..", "*", "**", "n.a.", "na.", "n.d.", "n/d", "nil", "missing", "unknown",
     "#div/0!", "#value!", "#ref!", "inf", "-inf", "(null)", "[null]", "not available", "not applicable"}
)  # fmt: skip
"""In lower case: what stands for no value where all others of a column are numbers or times."""
SIGNS = frozenset({"?", "-", "--", "---", "."})
"""Those of them that mean the same among words."""
NEGATIVE_CODES = (-9.0, -99.0, -999.0, -9999.0, -99999.0)
HEAD_BYTES = 1 << 20
FEW = 0.4
"""Share of a column that may be marks of no value."""

Decimal = Literal[".", ","]
Thousands = Literal[".", ",", " ", "'"]
FORMS: tuple[tuple[Decimal, Thousands | None], ...] = (
    (".", None), (",", None), (".", ","), (",", "."), (",", " "), (".", " "), (".", "'"), (",", "'"),
)  # fmt: skip
"""Ways to write numbers: decimal mark, and what stands between groups of three digits."""


@dataclass(frozen=True)
class Declared:
    """A sample, and how its file is written."""

    sample: Sample
    files: dict[str, str]
    """Keys of `files`, with what is not found out by itself."""
    why: tuple[str, ...]


def read_declared(path: Path, target: str) -> Declared:
    """Read a file in the encoding and with the separator that it has.

    Raises:
        SourceError: it cannot be read.
        CannotDraft: it has no rows, or no such column.
    """
    files: dict[str, str] = {}
    why: list[str] = []
    sample, encoding = _in_encoding(path, target)
    if encoding is not None:
        files["encoding"] = encoding
        why.append(f"the file is not UTF-8 text; every line can be read as {encoding}, which is a guess")
    if target not in sample.columns and len(sample.columns) == 1 and _is_delimited(path):
        only = next(iter(sample.columns))
        for separator in SEPARATORS:
            if separator in only and target in [trim(part) for part in only.split(separator)]:
                files["separator"] = separator
                why.append(f"the header has columns separated by '{separator}'")
                sample = read_sample(path, FilesConfig(**files), target)
                break
    if sample.rows == 0:
        bad = f": {sample.bad} lines are none, the first for {sample.bad_reason}" if sample.bad else ""
        raise CannotDraft(f"{path}: no rows below the header{bad}; allowed: rows with their labels")
    if target not in sample.columns:
        names = list(sample.columns)
        shown = ", ".join(f"'{name}'" for name in names[:50]) + (", ..." if len(names) > 50 else "")
        raise CannotDraft(f"{path}: no column '{target}'{meant(target, names)}; present: {shown}")
    if _is_delimited(path):
        form = number_form(column.values for column in sample.columns.values() if column.name != target)
        if form != FORMS[0]:
            files["decimal"] = form[0]
            if form[1] is not None:
                files["thousands"] = form[1]
            marks = f"'{form[0]}' before the fraction" + (f", '{form[1]}' between groups" if form[1] else "")
            why.append(f"numbers are written with {marks}")
    return Declared(sample, files, tuple(why))


def _is_delimited(path: Path) -> bool:
    return path.name.lower().removesuffix(".gz").endswith((".csv", ".tsv"))


def _in_encoding(path: Path, target: str) -> tuple[Sample, str | None]:
    try:
        sample = read_sample(path, FilesConfig(), target)
        problem = sample.bad_reason or ""
    except SourceError as error:
        if "UTF-8 text" not in str(error):
            raise
        sample, problem = None, str(error)
    if sample is not None and not (sample.bad and "UTF-8 text" in problem):
        return sample, None
    with path.open("rb") as file:
        encoding = likely_encoding(file.read(HEAD_BYTES))
    return read_sample(path, FilesConfig(encoding=encoding), target), encoding


def number_form(columns: Iterable[list[Any]]) -> tuple[Decimal, Thousands | None]:
    """How the numbers of CSV are written: as most columns with marks in their numbers say."""
    votes: Counter[tuple[Decimal, Thousands | None]] = Counter()
    for values in columns:
        texts = [trim(text) for text in values if isinstance(text, str)]
        texts = [text for text in texts if text and text.lower() not in NEVER_VALUES | ODD_MARKERS]
        if not texts or not any(
            "," in text or "'" in text or " " in text or text.count(".") > 1 for text in texts
        ):
            continue
        form = _form_of(texts)
        if form is not None and form != FORMS[0]:
            votes[form] += 1
    return votes.most_common(1)[0][0] if votes else FORMS[0]


def _form_of(texts: list[str]) -> tuple[Decimal, Thousands | None] | None:
    """The first form that all texts have; three digits behind each comma are a group, not a fraction."""
    groups = all(re.fullmatch(r"[+-]?\d{1,3}(,\d{3})*", text) for text in texts if "," in text)
    order = FORMS if not groups else (FORMS[0], (".", ","), *FORMS[1:])
    for form in order:
        pattern = re.compile(_pattern(*form))
        if all(pattern.fullmatch(text) for text in texts):
            return form
    return None


def _pattern(decimal: str, thousands: str | None) -> str:
    point = re.escape(decimal)
    whole = r"\d+" if thousands is None else rf"(?:\d{{1,3}}(?:{re.escape(thousands)}\d{{3}})+|\d+)"
    return rf"[+-]?(?:{whole}(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d+)?"


def plain_number_text(text: str, files: dict[str, str]) -> str | None:
    """The text of a number as `files` declares it, written with a point alone; None: it is none so.

    >>> plain_number_text("1.234,5", {"decimal": ",", "thousands": "."})
    '1234.5'
    """
    decimal, thousands = files.get("decimal", "."), files.get("thousands")
    if decimal == "." and thousands is None:
        return text
    text = trim(text)
    if re.fullmatch(_pattern(decimal, thousands), text) is None:
        return None
    return (text.replace(thousands, "") if thousands else text).replace(decimal, ".")


def extra_missing(columns: Iterable[Column], reads: Any, classes: set[str]) -> dict[str, str]:
    """Marks of no value beyond those that are always read so, each with where it was seen.

    Args:
        reads: whether a text is a number or a time.
        classes: what the target holds: no mark is one of them.
    """
    found: dict[str, str] = {}
    known = {one.lower() for one in DEFAULT_MISSING} | NEVER_VALUES
    for column in columns:
        texts = [trim(value) for value in column.values if isinstance(value, str)]
        texts = [text for text in texts if text.lower() not in known]
        marks = Counter(text for text in texts if text.lower() in ODD_MARKERS)
        if marks and sum(marks.values()) <= max(FEW * len(texts), 1):
            others = [text for text in texts if text.lower() not in ODD_MARKERS]
            is_plain = bool(others) and all(map(reads, others))
            for mark, count in marks.items():
                if (is_plain or mark in SIGNS) and mark not in classes:
                    found.setdefault(mark, f"'{mark}' in {count} rows of '{column.name}'")
        for mark, count in _negative_codes(column, reads).items():
            if mark not in classes:
                found.setdefault(
                    mark, f"{mark} in {count} rows of '{column.name}', where nothing else is below 0"
                )
    return found


def _negative_codes(column: Column, reads: Any) -> Counter[str]:
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
