"""What can be said of a column beside how far it has moved: before and now, constant, new values, missing.

Only what is certain is said: that a rare value comes for the first time, or a column of few others shows none
of them, chance makes often where there are few records.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator

import numpy as np

from models.drift.certainty import FALSE_ALARMS, count_p_value
from models.drift.summaries import Categories, Numbers, Side, Summary

LEAST_MORE = 0.05
"""So much larger a share that is missing is worth saying."""
_SHOWN, _LONGEST = 3, 40


def remark_on(reference: Side, current: Side, names: Collection[str]) -> dict[str, str]:
    """Column to what is certain of it, of all its values."""
    least = FALSE_ALARMS / max(1, len(names))
    before, now = reference.summaries, current.summaries
    remarks = {name: list(_remarks(before[name], now[name], least)) for name in names}
    return {name: "; ".join(ones) for name, ones in remarks.items() if ones}


def tell_move(before: Summary, now: Summary) -> str:
    """What a column that has moved was before and is now: of a number the middle half, of categories shares.

    >>> from models.drift.summaries import summarise
    >>> tell_move(*(summarise(np.array(values, dtype=object)) for values in (["a", "b"], ["a", "a"])))
    '"a" 100% (50% before), "b" 0% (50% before)'
    """
    if isinstance(before, Categories) and isinstance(now, Categories):
        shares = {
            value: (_share(value, now), _share(value, before)) for value in {**now.present, **before.present}
        }
        most = sorted(shares.items(), key=lambda one: (-abs(one[1][0] - one[1][1]), -one[1][0]))
        return ", ".join(
            f"{_shown(value)} {new:.0%} ({old:.0%} before)" for value, (new, old) in most[:_SHOWN]
        )
    assert isinstance(before, Numbers) and isinstance(now, Numbers)
    if not len(before.values) or not len(now.values):
        was, is_now = (one.missing / one.rows for one in (before, now))
        return f"missing in {is_now:.0%} of recent records ({was:.0%} before)"
    (low, middle, high), (now_low, now_middle, now_high) = (
        np.quantile(one.values, [0.25, 0.5, 0.75]) for one in (before, now)
    )
    return (
        f"median {now_middle:.4g} ({middle:.4g} before), middle half {now_low:.4g} to {now_high:.4g} "
        f"({low:.4g} to {high:.4g} before)"
    )


def _share(value: object, column: Categories) -> float:
    """Of those that are there."""
    return column.present.get(value, 0) / max(1, column.rows - column.missing)


def _remarks(before: Summary, now: Summary, least: float) -> Iterator[str]:
    rows = before.rows, now.rows
    is_now, was = now.missing / now.rows, before.missing / before.rows
    if is_now - was >= LEAST_MORE and _is_certain(before.missing, now.missing, *rows, least):
        yield f"missing in {is_now:.0%} of recent records, {was:.0%} before"
    if now.distinct == 1 and before.distinct > 1:
        value, present = now.first, now.rows - now.missing
        if _is_certain(before.count(value), present, *rows, least):
            yield f"constant now ({_shown(value)} in all {present} recent records that have it)"
    elif isinstance(before, Categories) and isinstance(now, Categories):
        yield from _new_values(before, now, least)


def _new_values(before: Categories, now: Categories, least: float) -> Iterator[str]:
    new = [(value, count) for value, count in now.present.items() if value not in before.present]
    new.sort(key=lambda one: -one[1])
    level = least / max(1, now.distinct + before.distinct)  # of all values, whichever are looked at
    certain = [
        f"{_shown(value)} in {count / now.rows:.0%}"
        for value, count in new[:_SHOWN]
        if _is_certain(0, count, before.rows, now.rows, level)
    ]
    if certain:
        yield f"new values ({', '.join(certain)} of recent records)"


def _is_certain(before: int, now: int, reference_rows: int, current_rows: int, level: float) -> bool:
    return bool(count_p_value(before, now, reference_rows, current_rows) <= level)


def _shown(value: object) -> str:
    text = json.dumps(str(value), ensure_ascii=False)
    return text if len(text) <= _LONGEST else f'{text[:_LONGEST]}..."'
