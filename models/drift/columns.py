"""Which columns can be compared, in which form, and why others cannot; measuring them is outside.

A column that is left out is named with its reason, and one whose values have gone missing, or come, has
moved by that alone: no distance is needed, nor could be measured.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from features.encoders.column_statistics import plausible_bounds
from models.drift.forms import Clipped, Equal, Form, Joined
from models.drift.summaries import Categories, Numbers, Side, Summary, over_columns

# A distance between fewer values than this says nothing.
MIN_VALUES = 20
VANISHED = 0.1
"""A column is gone whose values come at most so often, of how often they came before..."""
VANISHED_RISE = 0.5
"""...or one of which so large a share more is missing."""
FREQUENT = 0.05
"""Categories with a smaller share, in both, are compared as one: of many rare ones chance draws others..."""
MANY_ROWS = 100
"""...unless they would still have so many rows of either side."""
MOSTLY_RARE = 0.5
COUNTS_UP = 0.99
"""Share of steps up, from record to record, of a number that only counts them."""
ID_NAME = re.compile(r"(?:^|_)(?:id|uuid|guid)$|[a-z](?:Id|ID)$", re.ASCII)
"""How a number is called that stands for somebody or something."""


@dataclass(frozen=True)
class ComparableColumns:
    """Columns that are compared, and what became of the others."""

    forms: Mapping[str, Form]
    """Column to the form in which it is compared."""
    gone: Mapping[str, tuple[float, float]]
    """Column whose values have gone missing, or come, to the share missing before and now."""
    left_out: Mapping[str, str]
    """Column to the reason why it is not compared."""


def prepare_columns(
    reference: Side,
    current: Side,
    *,
    ignore: Collection[str] = (),
    dates: Collection[str] = (),
    frequent: float = FREQUENT,
) -> ComparableColumns:
    """Columns of records learned from and of recent ones, each oldest first, ready to be compared.

    Args:
        ignore: fields that are not looked at.
        dates: fields that are dates; they move by themselves, save that they can go missing.
        frequent: categories with a smaller share, in both, are compared as one, where they are rare.
    """
    before, now = reference.summaries, current.summaries
    left_out = {name: "by drift.ignore" for name in before if _touches(name, ignore)}
    names = [name for name in before if name not in left_out]
    gone = {name: shares for name in names if (shares := _gone(before[name], now[name])) is not None}
    gone = {name: shares for name, shares in gone.items() if _stands_for_field(name)}
    fields = {_field(name) for name in gone}
    least = least_share(frequent, min(reference.rows, current.rows))

    def look_at(name: str) -> Form | str:
        return _reason(name, before[name], now[name], dates, least) or _form(before[name], now[name], least)

    compared = [name for name in names if _field(name) not in fields]
    found = over_columns(look_at, compared, reference.rows + current.rows)
    left_out |= {name: one for name, one in found.items() if isinstance(one, str)}
    forms = {name: one for name, one in found.items() if not isinstance(one, str)}
    return ComparableColumns(forms, gone, left_out)


def least_share(frequent: float, rows: int) -> float:
    """Share from which on a category is compared by itself, of so many rows on the side with fewer.

    >>> least_share(0.05, 500), least_share(0.05, 1_000_000)
    (0.05, 0.0001)
    """
    return min(frequent, MANY_ROWS / max(1, rows))


def _reason(name: str, before: Summary, now: Summary, dates: Collection[str], least: float) -> str | None:
    if _field(name) in dates and name.count(":") == 1:
        return "a date, which moves by itself"
    if isinstance(before, Categories) and isinstance(now, Categories):
        return _too_many(before, now, least)
    if isinstance(before, Numbers) and isinstance(now, Numbers):
        return _no_amount(name, before, now)
    return "numbers on one side, categories on the other"


def _no_amount(name: str, before: Numbers, now: Numbers) -> str | None:
    """Why numbers are not compared."""
    values = min(len(before.values), len(now.values))
    if values < MIN_VALUES:
        return f"{values} values; {MIN_VALUES} are needed"
    if min(before.share_up, now.share_up) >= COUNTS_UP:
        return "a number that counts the records"
    if ID_NAME.search(name) and _are_mostly_its_own(before) and _are_mostly_its_own(now):
        return "an id, of which most records have one of their own"
    return None


def _too_many(before: Categories, now: Categories, least: float) -> str | None:
    """Why categories are not compared: nearly every record of both has one that is rare."""
    frequent = _frequent(before, now, least)
    common = [sum(count for value, count in one.marked.items() if value in frequent) for one in (before, now)]
    if min(1 - kept / one.rows for kept, one in zip(common, (before, now), strict=True)) <= MOSTLY_RARE:
        return None
    return f"{len(before.present)} different values in {before.rows} records are too many to compare"


def _form(before: Summary, now: Summary, least: float) -> Form:
    if isinstance(before, Categories):
        assert isinstance(now, Categories)
        return Joined(_frequent(before, now, least))
    if before.distinct == 1:
        return Equal(float(before.values[0]))
    return Clipped(*plausible_bounds(before.values))


def _frequent(before: Categories, now: Categories, least: float) -> frozenset[str]:
    return frozenset(
        str(value)
        for one in (before, now)
        for value, count in one.marked.items()
        if count / one.rows >= least
    )


def _gone(before: Summary, now: Summary) -> tuple[float, float] | None:
    """Share missing before and now, where values have gone missing or come; None where they have not."""
    was, is_now = before.missing / before.rows, now.missing / now.rows
    least = min(before.rows, now.rows)
    went, came = _vanished(1 - was, 1 - is_now, least), _vanished(1 - is_now, 1 - was, least)
    return (was, is_now) if went or came else None


def _vanished(before: float, now: float, rows: int) -> bool:
    """Whether a share of values has fallen to next to nothing, of enough to tell."""
    return before * rows >= MIN_VALUES and (now <= VANISHED * before or before - now >= VANISHED_RISE)


def _are_mostly_its_own(numbers: Numbers) -> bool:
    """Whether they are whole, most of them different."""
    values = numbers.values
    return numbers.distinct >= MOSTLY_RARE * len(values) and bool((values % 1 == 0).all())


def _field(name: str) -> str:
    return name.partition(":")[0]


def _stands_for_field(name: str) -> bool:
    """Of the parts of a date or a text the first stands for all."""
    return name.rpartition(":")[2] in ("days", "length") or ":" not in name


def _touches(name: str, fields: Collection[str]) -> bool:
    """Whether a column is one of these fields, or derived from one."""
    return any(part in fields for part in name.split(":"))
