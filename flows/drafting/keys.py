"""Which columns say which row it is, whose, and when: they are parts of a record beside its fields."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from shlex import quote

from flows.drafting.columns import Facts, Guess, times_of
from flows.drafting.names import is_of_event_time, is_of_ids, is_of_rows, is_of_somebody, may_be_of_ids, words
from flows.drafting.sample import Column, spelled

LEAST_GROUPS = 10
LEAST_REPEATED = 1.5
"""Mean rows of a group."""
NO_GROUPS = frozenset({"id", "label", "prediction_id", "record", "event_time"})
"""Keys of a record that mean something else."""
LEAST_CODES, LEAST_SPREAD = 30, 0.05
"""Different values, and their share of the rows, from which codes are told that may be of somebody."""
LEAST_ROWS = 10
"""Fewer different values show nothing."""
LEAST_MOMENTS = 0.2
"""Share of different times, from which they may put rows in order."""
_UNIQUE_CODE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}|[0-9a-f]{16,64}", re.IGNORECASE)


@dataclass(frozen=True)
class Key:
    """A column that is no field: what it is for, and why."""

    column: str
    why: str


def row_number(column: Column, facts: Facts, *, is_whole: bool) -> str | None:
    """Why a column holds but the number of each row, if so.

    Whole numbers, each there once: from 0 or 1 to the number of rows, or under a name of row numbers.
    """
    if (
        facts.can_be_missing
        or len(facts.present) < 2
        or any(isinstance(value, bool) for value in facts.present)
    ):
        return None
    texts = [spelled(value) for value in facts.present]
    if not all(re.fullmatch(r"\d{1,15}", text) for text in texts) or len(set(texts)) < len(texts):
        return None
    numbers = [int(text) for text in texts]
    low, high = min(numbers), max(numbers)
    rises = all(one < other for one, other in pairwise(numbers))
    runs = low in (0, 1) and high - low + 1 == len(numbers) and is_whole
    if is_of_ids(column.name) and not is_of_rows(column.name):
        return None
    if runs and (rises or is_of_rows(column.name) or may_be_of_ids(column.name)):
        return f"the number of the row: {low:,} to {high:,}, each once"
    if rises and is_of_rows(column.name):
        return f"numbers of rows: rising from {low:,} to {high:,}, each once"
    return None


def is_there_once(facts: Facts) -> bool:
    """Whether every row has a value, and each value is there once."""
    rows = len(facts.present)
    return not facts.can_be_missing and rows >= LEAST_ROWS and len(set(map(spelled, facts.present))) == rows


def id_reason(facts: Facts, found: Guess) -> str | None:
    """Why a column identifies a row, if so: each value is there once, and name or shape are those of ids."""
    rows = len(facts.present)
    if found.kind in ("number", "datetime", "boolean") or not is_there_once(facts):
        return None
    texts = [spelled(value) for value in facts.present]
    if is_of_ids(facts.name) or (may_be_of_ids(facts.name) and found.kind != "text"):
        return f"its name is one of ids, and each of {rows:,} values is there once"
    if all(_UNIQUE_CODE.fullmatch(text) for text in texts):
        return f"codes as programs give to rows, each of {rows:,} there once"
    return None


def group_reason(facts: Facts) -> str | None:
    """Why rows belong together by a column, if so: it says whose they are, and says it again."""
    rows, distinct = len(facts.present), len(set(map(spelled, facts.present)))
    is_named = is_of_somebody(facts.name) and (is_of_ids(facts.name) or len(words(facts.name)) == 1)
    if facts.can_be_missing or not is_named or distinct < LEAST_GROUPS:
        return None
    if rows < LEAST_REPEATED * distinct:
        return None
    return f"{distinct:,} of them in {rows:,} rows: all rows of one are learned from, or held out"


def group_doubt(facts: Facts, found: Guess) -> str | None:
    """What to look at where a column may say whose a row is: a name of ids or numbers, values that repeat."""
    rows, distinct = len(facts.present), len(set(map(spelled, facts.present)))
    may_be = may_be_of_ids(facts.name) or is_of_somebody(facts.name)
    if not may_be or found.kind not in ("integer", "category") or not LEAST_CODES <= distinct < rows:
        return None
    if distinct < LEAST_SPREAD * rows:
        return None
    return (
        f"{distinct:,} different values in {rows:,} rows under a name of codes are learned from as they "
        f"are; where they say whose a row is, {group_hint(facts.name)} keeps all rows of one together"
    )


def group_hint(name: str) -> str:
    """How a column is made the group of its rows."""
    if name in NO_GROUPS:
        return f"another name than '{name}', which every record has for something else, and `--group`"
    return f"`--group {quote(name)}`"


def time_key(
    candidates: Mapping[str, Guess], columns: Mapping[str, Column], now: datetime
) -> tuple[Key | None, str | None]:
    """The column of the time at which a row came to be, or what may be it and is not taken for it."""
    fitting: list[Key] = []
    for name, found in candidates.items():
        times = times_of(columns[name].values, found.options.get("epoch"))
        known = [one for one in times if one is not None]
        if not known or len(known) < 0.98 * len(times) or max(known) > now + timedelta(days=1):
            continue
        if len(set(known)) < LEAST_MOMENTS * len(known):
            continue
        is_sorted = _rises(known)
        if is_of_event_time(name) or (is_sorted and len(candidates) == 1):
            order = "rows are in its order" if is_sorted else f"{len(set(known)):,} different times"
            fitting.append(Key(name, f"{order}, {min(known):%Y-%m-%d} to {max(known):%Y-%m-%d}"))
    if len(fitting) == 1:
        return fitting[0], None
    if not fitting:
        return None, None
    names = ", ".join(f"'{one.column}'" for one in fitting)
    return None, f"{names} may each be the time of a row; none is taken (`--time` names it), all stay fields"


def _rises(times: Sequence[datetime]) -> bool:
    return len(times) > 2 and all(one <= other for one, other in pairwise(times))


def duplicates(columns: Sequence[Column]) -> dict[str, str]:
    """Columns that say in every row what an earlier one says, with the earlier one."""
    first: dict[int, list[Column]] = {}
    found: dict[str, str] = {}
    for column in columns:
        texts = tuple(map(spelled, column.values)) if not column.is_nested else ()
        if not texts:
            continue
        alike = first.setdefault(hash(texts), [])
        same = next((one for one in alike if tuple(map(spelled, one.values)) == texts), None)
        if same is None:
            alike.append(column)
        else:
            found[column.name] = same.name
    return found


def repeated_names(names: Sequence[str]) -> set[str]:
    """Names that stand in the header more than once; the reader puts its place behind the second."""
    found: set[str] = set()
    for place, name in enumerate(names, 1):
        end = f" ({place})"
        stem = name.removesuffix(end)
        while stem != name and stem not in names and stem.endswith(end):
            stem = stem.removesuffix(end)
        if stem != name and stem in names:
            found |= {stem, name}
    return found


def equal_records(columns: Sequence[Column], labels: Sequence[object]) -> tuple[int, int]:
    """Rows that equal an earlier one in all columns, and those of them whose record has several labels."""
    seen: dict[int, Counter[str]] = {}
    texts = [list(map(spelled, column.values)) for column in columns]
    for row, label in enumerate(labels):
        key = hash(tuple(column[row] for column in texts))
        seen.setdefault(key, Counter())[spelled(label)] += 1
    again = sum(counts.total() - 1 for counts in seen.values())
    contradicted = sum(counts.total() - 1 for counts in seen.values() if len(counts) > 1)
    return again, contradicted
