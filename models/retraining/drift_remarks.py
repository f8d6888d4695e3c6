"""What can be said of a column beside how far it has moved: constant now, new values, missing more often.

Only what is certain is said: that a rare value comes for the first time, or a column of few others shows none
of them, chance makes often where there are few records.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pandas as pd

from models.retraining.drift_certainty import FALSE_ALARMS, count_p_value
from models.retraining.drift_columns import is_category

LEAST_MORE = 0.05
"""So much larger a share that is missing is worth saying."""
_SHOWN, _LONGEST = 3, 40


def remark_on(reference: pd.DataFrame, current: pd.DataFrame) -> dict[str, str]:
    """Column to what is certain of it; the frames have all values, as `summarise` gives them."""
    least = FALSE_ALARMS / max(1, len(reference.columns))
    remarks = {name: list(_remarks(reference[name], current[name], least)) for name in reference.columns}
    return {name: "; ".join(ones) for name, ones in remarks.items() if ones}


def _remarks(reference: pd.Series, current: pd.Series, least: float) -> Iterator[str]:
    before, now = int(reference.isna().sum()), int(current.isna().sum())
    more = now / len(current) - before / len(reference)
    if more >= LEAST_MORE and _is_certain(before, now, reference, current, least):
        yield f"missing in {now / len(current):.0%} of recent records, {before / len(reference):.0%} before"
    present = current.dropna()
    if not len(present):
        return
    counts = reference.dropna().value_counts()
    if present.nunique() == 1 and len(counts) > 1:
        value = present.iloc[0]
        if _is_certain(int(counts.get(value, 0)), len(present), reference, current, least):
            yield f"constant now ({_shown(value)} in all {len(present)} recent records that have it)"
    elif is_category(reference):
        yield from _new_values(present.value_counts(), counts, reference, current, least)


def _new_values(
    now: pd.Series, before: pd.Series, reference: pd.Series, current: pd.Series, least: float
) -> Iterator[str]:
    new = now[~now.index.isin(before.index)]
    level = least / max(1, len(now) + len(before))  # of all values, whichever are looked at
    certain = [
        f"{_shown(value)} in {count / len(current):.0%}"
        for value, count in new.head(_SHOWN).items()
        if _is_certain(0, int(count), reference, current, level)
    ]
    if certain:
        yield f"new values ({', '.join(certain)} of recent records)"


def _is_certain(before: int, now: int, reference: pd.Series, current: pd.Series, level: float) -> bool:
    return bool(count_p_value(before, now, len(reference), len(current)) <= level)


def _shown(value: object) -> str:
    text = json.dumps(str(value))
    return text if len(text) <= _LONGEST else f'{text[:_LONGEST]}..."'
