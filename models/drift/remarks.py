"""What can be said of a column beside how far it has moved: before and now, constant, new values, missing.

Only what is certain is said: that a rare value comes for the first time, or a column of few others shows none
of them, chance makes often where there are few records.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pandas as pd

from models.drift.certainty import FALSE_ALARMS, count_p_value
from models.drift.columns import is_category

LEAST_MORE = 0.05
"""So much larger a share that is missing is worth saying."""
_SHOWN, _LONGEST = 3, 40


def remark_on(reference: pd.DataFrame, current: pd.DataFrame) -> dict[str, str]:
    """Column to what is certain of it; the frames have all values, as `summarise` gives them."""
    least = FALSE_ALARMS / max(1, len(reference.columns))
    remarks = {name: list(_remarks(reference[name], current[name], least)) for name in reference.columns}
    return {name: "; ".join(ones) for name, ones in remarks.items() if ones}


def tell_move(reference: pd.Series, current: pd.Series) -> str:
    """What a column that has moved was before and is now: of a number the middle half, of categories shares.

    >>> tell_move(pd.Series(["a", "b"], dtype=object), pd.Series(["a", "a"], dtype=object))
    '"a" 100% (50% before), "b" 0% (50% before)'
    """
    if is_category(reference):
        shares = [column.value_counts(normalize=True) for column in (current, reference)]
        both = pd.DataFrame(dict(zip(("now", "before"), shares, strict=True))).fillna(0.0)
        both = both.reindex((both["now"] - both["before"]).abs().sort_values(ascending=False).index)
        return ", ".join(
            f"{_shown(value)} {row['now']:.0%} ({row['before']:.0%} before)"
            for value, row in both.head(_SHOWN).iterrows()
        )
    before, now = (float(column.isna().mean()) for column in (reference, current))
    if max(before, now) == 1:
        return f"missing in {now:.0%} of recent records ({before:.0%} before)"
    told = [column.dropna().quantile([0.25, 0.5, 0.75]).tolist() for column in (reference, current)]
    (low, middle, high), (now_low, now_middle, now_high) = told
    return (
        f"median {now_middle:.4g} ({middle:.4g} before), middle half {now_low:.4g} to {now_high:.4g} "
        f"({low:.4g} to {high:.4g} before)"
    )


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
