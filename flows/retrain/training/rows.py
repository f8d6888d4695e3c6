"""Which rows a challenger learns from, of those that are to learn from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from configs.schema import ChallengerConfig, UseCase
from configs.times.durations import read_duration
from features.records.rows import RowSource
from models.errors import CannotUpdate
from models.streamed.sources import ChosenRows, newest
from store.snapshots.frames import Newest
from store.snapshots.learned import AnyLearned


def rows_to_learn(
    use_case: UseCase,
    rows: RowSource,
    challenger: ChallengerConfig,
    learned: AnyLearned,
    count: int | None,
    *,
    windowed: bool = True,
) -> RowSource:
    """The training rows, or `count` of them; of a warm start those that production has not learned from.

    Args:
        windowed: those of the challenger's window only; versions of earlier releases were noted without.

    Raises:
        CannotUpdate: there are none.
    """
    if challenger.fit == "warm":
        fresh = ~learned.holds_truth(rows.seq)
        if not fresh.any():
            raise CannotUpdate("there are no training rows that it has not learned from")
        rows = ChosenRows(rows, fresh)
    rows = drawn(rows, count, use_case.training.seed)
    return newest(rows, challenger.window) if windowed else rows


def newest_wanted(challengers: Sequence[ChallengerConfig], *, count: int | None) -> Newest | None:
    """The newest rows that hold all that any of these learns from; None: one learns from all.

    Args:
        count: learn from so many, drawn from all; None: from all.
    """
    windows = [one.window for one in challengers]
    if count is not None or any(window is None for window in windows):
        return None
    spans = [read_duration(window) for window in windows if isinstance(window, str)]
    rows = max((window for window in windows if isinstance(window, int)), default=0)
    return Newest(rows, max(spans, default=None))


def drawn(rows: RowSource, count: int | None, seed: int) -> RowSource:
    """`count` of the rows, drawn by chance and in their order; all where there are no more."""
    if count is None or count >= len(rows):
        return rows
    picked = np.zeros(len(rows), dtype=np.bool_)
    picked[np.random.default_rng(seed).choice(len(rows), size=count, replace=False)] = True
    return ChosenRows(rows, picked)
