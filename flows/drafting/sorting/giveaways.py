"""Columns that give the label away, left out or told of."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from features.records.spellings import parse_truth, spell_word
from flows.drafting.columns import numbers_of, times_of
from flows.drafting.leaks import Floats, Matrix, Suspect, codes, suspects
from flows.drafting.sample import spelled
from flows.drafting.sorting.columns_at_hand import Sorting

LEAK_COLUMNS = 2000
"""Columns that are looked at for giving the label away, at most."""


def suspect(sorting: Sorting) -> tuple[Suspect, ...]:
    """Leave out what gives the label away, unless it is to be kept; all that is suspected, either way."""
    if sorting.target.task == "multilabel":
        return ()
    values = sorting.sample.columns[sorting.target.column].values
    labels = [sorting.target.label_of(value) for value in values]
    places = [place for place, label in enumerate(labels) if label is not None]
    # An id that repeats, or one that is left out for other reasons, is no candidate any more.
    known = [name for name in sorting.rest if sorting.guesses[name].kind is not None][:LEAK_COLUMNS]
    matrix = Matrix(
        {name: _numbers(sorting, name)[places] for name in known},
        frozenset(name for name in known if sorting.guesses[name].kind == "category"),
        frozenset(name for name in known if sorting.guesses[name].kind == "text"),
    )
    found = suspects(matrix, [label for label in labels if label is not None], sorting.target.column)
    for one in found:
        if one.verdict == "leave_out" and not sorting.is_asked(one.column):
            sorting.leave(one.column, "leak", f"suspected leak: {one.why}")
        else:
            sorting.warnings.append(f"column '{one.column}' is kept, and may give the label away: {one.why}")
    return tuple(found)


def _numbers(sorting: Sorting, name: str) -> Floats:
    column, found, facts = sorting.rest[name], sorting.guesses[name], sorting.facts[name]
    if found.kind in ("number", "integer"):
        known = numbers_of(column.values, sorting.files)
        return np.array([np.nan if one is None else float(one) for one in known], dtype=np.float64)
    if found.kind == "datetime":
        times = times_of(column.values, found.options.get("epoch"))
        zero = datetime(1970, 1, 1)
        return np.array([np.nan if one is None else (one - zero).total_seconds() for one in times])
    present = set(map(spelled, facts.present))
    texts = [spelled(value) if spelled(value) in present else None for value in column.values]
    if found.kind == "boolean":
        return np.array([np.nan if one is None else float(parse_truth(one)) for one in texts])
    return codes([None if one is None else spell_word(one) for one in texts])
