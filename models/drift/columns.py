"""Which columns can be compared, in which form, and why others cannot; measuring them is outside.

A column that is left out is named with its reason, and one whose values have gone missing, or come, has
moved by that alone: no distance is needed, nor could be measured.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.encoders.column_statistics import plausible_bounds

# A distance between fewer values than this says nothing.
MIN_VALUES = 20
VANISHED = 0.1
"""A column is gone whose values come at most so often, of how often they came before..."""
VANISHED_RISE = 0.5
"""...or one of which so large a share more is missing."""
FREQUENT = 0.05
"""Categories with a smaller share, in both, are compared as one: of many rare ones chance draws others."""
MOSTLY_RARE = 0.5
COUNTS_UP = 0.99
"""Share of steps up, from record to record, of a number that only counts them."""
ID_NAME = re.compile(r"(?:^|_)(?:id|uuid|guid)$|[a-z](?:Id|ID)$", re.ASCII)
"""How a number is called that stands for somebody or something."""
MISSING, OTHERS = "(missing)", "(all others)"


@dataclass(frozen=True)
class ComparableColumns:
    """Two frames of the same columns, and what became of the columns that are not in them."""

    reference: pd.DataFrame
    current: pd.DataFrame
    gone: Mapping[str, tuple[float, float]]
    """Column whose values have gone missing, or come, to the share missing before and now."""
    left_out: Mapping[str, str]
    """Column to the reason why it is not compared."""


def prepare_columns(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    ignore: Collection[str] = (),
    dates: Collection[str] = (),
    frequent: float = FREQUENT,
) -> ComparableColumns:
    """Columns of records learned from and of recent ones, each oldest first, ready to be compared.

    Args:
        ignore: fields that are not looked at.
        dates: fields that are dates; they move by themselves, save that they can go missing.
        frequent: categories with a smaller share, in both, are compared as one.
    """
    left_out = {name: "by drift.ignore" for name in reference.columns if _touches(name, ignore)}
    names = [name for name in reference.columns if name not in left_out]
    gone = {name: shares for name in names if (shares := _gone(reference[name], current[name])) is not None}
    gone = {name: shares for name, shares in gone.items() if _stands_for_field(name)}
    fields = {_field(name) for name in gone}
    compared = [name for name in names if _field(name) not in fields]
    left_out |= _reasons(compared, reference, current, dates, frequent)
    kept = [name for name in names if name not in left_out and _field(name) not in fields]
    pairs = {name: _alike(reference[name], current[name], frequent) for name in kept}
    return ComparableColumns(
        pd.DataFrame({name: pair[0] for name, pair in pairs.items()}),
        pd.DataFrame({name: pair[1] for name, pair in pairs.items()}),
        gone,
        left_out,
    )


def is_category(column: pd.Series) -> bool:
    """Whether its values are categories, rather than numbers."""
    return bool(column.dtype == object)


def _reasons(
    names: Iterable[str],
    reference: pd.DataFrame,
    current: pd.DataFrame,
    dates: Collection[str],
    frequent: float,
) -> dict[str, str]:
    found = {name: _reason(name, reference[name], current[name], dates, frequent) for name in names}
    return {name: reason for name, reason in found.items() if reason is not None}


def _reason(
    name: str, reference: pd.Series, current: pd.Series, dates: Collection[str], frequent: float
) -> str | None:
    if _field(name) in dates and name.count(":") == 1:
        return "a date, which moves by itself"
    if is_category(reference):
        return _too_many(reference, current, frequent)
    present = reference.dropna(), current.dropna()
    least = min(map(len, present))
    if least < MIN_VALUES:
        return f"{least} values; {MIN_VALUES} are needed"
    if all(map(_counts_up, present)):
        return "a number that counts the records"
    if ID_NAME.search(name) and all(map(_are_mostly_its_own, present)):
        return "an id, of which most records have one of their own"
    return None


def _too_many(reference: pd.Series, current: pd.Series, least: float) -> str | None:
    """Why categories are not compared: nearly every record of both has one that is rare."""
    frequent = _frequent(reference, current, least)
    rare = [float((~column.isin(frequent)).mean()) for column in map(marked, (reference, current))]
    if min(rare) <= MOSTLY_RARE:
        return None
    return f"{reference.nunique()} different values in {len(reference)} records are too many to compare"


def _alike(reference: pd.Series, current: pd.Series, least: float) -> tuple[pd.Series, pd.Series]:
    """Both in the form in which they are compared."""
    if not is_category(reference) and reference.nunique() == 1:
        # A distance in deviations has none to go by.
        return _equal_or_not(reference, reference), _equal_or_not(reference, current)
    if not is_category(reference):
        low, high = plausible_bounds(reference.to_numpy(dtype=np.float64, na_value=np.nan))
        return reference.astype(np.float64).clip(low, high), current.astype(np.float64).clip(low, high)
    frequent = _frequent(reference, current, least)
    categories = marked(reference), marked(current)
    first, second = (column.where(column.isin(frequent), OTHERS) for column in categories)
    return first, second


def _equal_or_not(constant: pd.Series, column: pd.Series) -> pd.Series:
    value = constant.dropna().iloc[0]
    names = np.where(column.isna(), MISSING, np.where(column == value, str(value), OTHERS))
    return pd.Series(names, index=column.index, dtype=object)


def _frequent(reference: pd.Series, current: pd.Series, least: float) -> set[str]:
    shares = [marked(column).value_counts(normalize=True) for column in (reference, current)]
    return {str(value) for share in shares for value in share.index[share >= least]}


def marked(categories: pd.Series) -> pd.Series:
    """Missing ones as a category of their own: to go missing is to move."""
    return categories.astype(object).fillna(MISSING)


def _gone(reference: pd.Series, current: pd.Series) -> tuple[float, float] | None:
    """Share missing before and now, where values have gone missing or come; None where they have not."""
    before, now = float(reference.isna().mean()), float(current.isna().mean())
    least = min(len(reference), len(current))
    went, came = _vanished(1 - before, 1 - now, least), _vanished(1 - now, 1 - before, least)
    return (before, now) if went or came else None


def _vanished(before: float, now: float, rows: int) -> bool:
    """Whether a share of values has fallen to next to nothing, of enough to tell."""
    return before * rows >= MIN_VALUES and (now <= VANISHED * before or before - now >= VANISHED_RISE)


def _counts_up(values: pd.Series) -> bool:
    steps = np.diff(values.to_numpy(dtype=np.float64))
    return bool((steps > 0).mean() >= COUNTS_UP)


def _are_mostly_its_own(values: pd.Series) -> bool:
    """Whether they are whole numbers, most of them different."""
    return values.nunique() >= MOSTLY_RARE * len(values) and bool((values % 1 == 0).all())


def _field(name: str) -> str:
    return name.partition(":")[0]


def _stands_for_field(name: str) -> bool:
    """Of the parts of a date or a text the first stands for all."""
    return name.rpartition(":")[2] in ("days", "length") or ":" not in name


def _touches(name: str, fields: Collection[str]) -> bool:
    """Whether a column is one of these fields, or derived from one."""
    return any(part in fields for part in name.split(":"))
