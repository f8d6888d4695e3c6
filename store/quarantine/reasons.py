"""Why rows were refused, by rule: the field and what it allows, how many rows, and a few examples."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from features.errors import RefusedRow

SHOWN = 5
"""Reasons that a sentence or a short report names."""
LONGEST_RULE = 600
MOST_OTHERS = 2
"""What arrived in other rows than the first, of one rule."""
_NEXT_PART = re.compile(
    r"; (?=(?:field|column|id) '|(?:label|event_time|prediction_id): |got (?:(?!; allowed:).)*; allowed: )"
)
_ARRIVED = re.compile(r"got .*; allowed: ", re.DOTALL)
_FIELD = re.compile(r"^(?:field|column) '[^']*'")
_PARTICULAR = re.compile(r"'[^']*'|\d+")
_PICTURE = re.compile(r"; allowed: [^;]* numbers from [^;]*, or a PNG\b[^;]*$")
_TEXT = re.compile(r".* \(text\)", re.DOTALL)
_NUMBER = re.compile(r"-?\d+(?:[.,x]\d+)*(?:e[+-]?\d+)?|'[^']*'")


@dataclass(frozen=True)
class RefusedReason:
    """One rule that rows broke."""

    rule: str
    """The reason without what arrived, by which rows are counted."""
    rows: int
    example: str
    """The reason as the first of them got it."""
    source: str
    """Where that one came from: the name of a file, or `http`."""
    line: int | None
    """Its line (from 1); None: it came by request, or was stored before."""
    others: tuple[str, ...] = ()
    """What arrived in other rows, where that differs: a few of them."""

    @property
    def place(self) -> str:
        """Where the example is."""
        return self.source if self.line is None else f"{self.source} line {self.line}"

    @property
    def sentence(self) -> str:
        """The reason with its count, for people."""
        rows = "1 row" if self.rows == 1 else f"{self.rows:,} rows"
        also = f"; also {' and '.join(self.others)}" if self.others else ""
        return f"{self.example} - {rows}, e.g. {self.place}{also}"

    def with_other(self, part: str) -> RefusedReason:
        """The same with what arrived in one more row, where that is new and there are not enough."""
        if (
            part == self.example
            or len(self.others) == MOST_OTHERS
            or (arrived := _arrived(part)) in self.others
        ):
            return self
        return replace(self, others=(*self.others, arrived))

    def as_dict(self) -> dict[str, Any]:
        """The reason as plain values, for JSON."""
        return asdict(self)


class ReasonTally:
    """Counts refused rows by rule."""

    def __init__(self) -> None:
        self._reasons: dict[str, RefusedReason] = {}
        self.rows = 0

    def add(self, source: str, rows: Iterable[RefusedRow], *, times: int = 1) -> None:
        """Count rows, each for so many of its kind; one that breaks several rules counts for each."""
        for row in rows:
            self.rows += times
            for rule, part in rules_of(row.reason).items():
                known = self._reasons.get(rule) or RefusedReason(rule, 0, part, source, row.line)
                self._reasons[rule] = replace(known.with_other(part), rows=known.rows + times)

    @property
    def reasons(self) -> tuple[RefusedReason, ...]:
        """The rules, those that most rows broke first."""
        return tuple(sorted(self._reasons.values(), key=lambda one: -one.rows))


def rules_of(reason: str) -> dict[str, str]:
    """The rules that a row broke, each with the part of the reason that says so.

    >>> rules_of("field 'age': got 'old' (text); allowed: a number; label: missing; allowed: text")
    {"field 'age': got …; allowed: a number": "field 'age': got 'old' (text); allowed: a number", \
'label: missing; allowed: text': 'label: missing; allowed: text'}
    """
    return {_rule(part): part for part in _NEXT_PART.split(reason)}


def _rule(part: str) -> str:
    if "; allowed: " in part:
        rule = _ARRIVED.sub(_generalised, part, count=1)
    else:
        named = _FIELD.match(part)
        end = 0 if named is None else named.end()
        rule = part[:end] + _PARTICULAR.sub("…", part[end:])
    return rule[:LONGEST_RULE]


def _generalised(found: re.Match[str]) -> str:
    """What arrived, without what is of one row only: nothing, but of a picture what is wrong with it."""
    if _PICTURE.search(found.string) is None:
        return "got …; allowed: "
    return "got " + _NUMBER.sub("…", _TEXT.sub("… (text)", found[0].removeprefix("got ")))


def _arrived(part: str) -> str:
    """What a row had, of a reason that says so; else the whole of it."""
    found = _ARRIVED.search(part)
    return part if found is None else found[0].removesuffix("; allowed: ").removeprefix("got ")
