"""From two frames of the same columns to a decision: prepared, measured, decided, and what moved told."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from configs.schema import DriftConfig
from models.drift.certainty import column_p_values
from models.drift.columns import FREQUENT, prepare_columns
from models.drift.decision import DriftDecision, decide_drift
from models.drift.distances import is_beyond, measure_distances
from models.drift.drawn import DrawnRows, draw_rows, no_rows
from models.drift.page import Sheet, draw_page
from models.drift.remarks import remark_on, tell_move
from models.drift.summaries import Rows, Side, category_columns, read_side

NEWEST = 4
"""One part in so many of what was learned is its newest."""


def compare(
    config: DriftConfig,
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    html: Path,
    seed: int,
    dates: Collection[str] = (),
    beside: Sequence[Sheet] = (),
) -> tuple[DriftDecision, Path | None]:
    """Compare two frames of the same columns, oldest rows first, and write Evidently's report to `html`.

    Args:
        dates: fields that are dates.
        beside: what else the page is to show.
    """
    decision, drawn = judge_frames(config, reference, current, seed=seed, dates=dates)
    sheets = [sheet for sheet in (Sheet(decision, drawn), *beside) if sheet.names]
    if not sheets:
        return decision, None
    draw_page(config, sheets, html)
    return decision, html


def judge_frames(
    config: DriftConfig,
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    seed: int,
    dates: Collection[str] = (),
    frequent: float = FREQUENT,
) -> tuple[DriftDecision, DrawnRows]:
    """The decision on two frames of the same columns, oldest rows first, and rows of them for a page.

    What has moved from all of the reference, and is near to the newest quarter of it, is no drift any more:
    it is learned. At most `config.reference_rows` and `config.current_rows` are compared: a sample of the
    reference, the last rows of the current ones.

    Args:
        dates: fields that are dates.
        frequent: share from which on a category is compared by itself.
    """
    now = _read_recent(config, reference, current)
    judge = partial(_judge_sides, config, now=now, seed=seed, dates=dates, frequent=frequent)
    decision, drawn = judge(read_side(reference, _sample(config, reference, seed)))
    newest = min(config.reference_rows, len(reference) // NEWEST)
    if decision.verdict != "drift" or newest < config.min_rows:
        return decision, drawn
    lately, lately_drawn = judge(read_side(reference, slice(len(reference) - newest, None)))
    if lately.verdict != "no_drift" or _is_still_far(config, decision, lately):
        return decision, drawn
    learned = f"of the newest {newest} rows that were learned {lately.reason}; of all {decision.reason}"
    return replace(lately, reason=learned), lately_drawn


def judge_once(
    config: DriftConfig, reference: pd.DataFrame, current: pd.DataFrame, *, seed: int
) -> tuple[DriftDecision, DrawnRows]:
    """The same by one comparison, with all of the reference."""
    before = read_side(reference, _sample(config, reference, seed))
    now = _read_recent(config, reference, current)
    return _judge_sides(config, before, now=now, seed=seed, dates=(), frequent=FREQUENT)


def _read_recent(config: DriftConfig, reference: pd.DataFrame, current: pd.DataFrame) -> Side:
    return read_side(current.tail(config.current_rows), categories=category_columns(reference))


def _sample(config: DriftConfig, reference: pd.DataFrame, seed: int) -> Rows:
    """Which rows are compared, in their order."""
    if len(reference) <= config.reference_rows:
        return slice(None)
    random = np.random.RandomState(seed)
    return np.sort(random.choice(len(reference), config.reference_rows, replace=False))


def _is_still_far(config: DriftConfig, decision: DriftDecision, lately: DriftDecision) -> bool:
    """Whether enough of what has moved is beyond the threshold from the newest rows too.

    That it is not certain of so few rows does not show that it was learned.
    """
    far = [
        name
        for name, one in lately.columns.items()
        if name in decision.columns
        and decision.columns[name].drifted
        and is_beyond(one.method, one.value, config.threshold)
    ]
    return bool(far) and len(far) >= config.share * len(lately.columns)


def _judge_sides(
    config: DriftConfig,
    before: Side,
    *,
    now: Side,
    seed: int,
    dates: Collection[str],
    frequent: float,
) -> tuple[DriftDecision, DrawnRows]:
    """One comparison, where there are enough rows for it."""
    decide = partial(decide_drift, config, reference_rows=before.rows, current_rows=now.rows)
    if min(before.rows, now.rows) < config.min_rows:
        return decide({}, {}), no_rows()
    columns = prepare_columns(before, now, ignore=config.ignore, dates=dates, frequent=frequent)
    distances = measure_distances(config, columns.forms, before, now)
    unmeasured = {name: "no distance could be measured" for name in columns.forms if name not in distances}
    decision = decide(
        distances,
        column_p_values(before, now, list(distances)),
        gone=columns.gone,
        left_out={**columns.left_out, **unmeasured},
        remarks=remark_on(before, now, list(distances)),
    )
    return _with_moves(decision, before, now), draw_rows(columns.forms, before, now, seed=seed)


def _with_moves(decision: DriftDecision, before: Side, now: Side) -> DriftDecision:
    """The same, with what each column that has moved was before and is now."""
    columns = {
        name: replace(one, moved=tell_move(before.summaries[name], now.summaries[name]))
        if one.drifted
        else one
        for name, one in decision.columns.items()
    }
    return replace(decision, columns=columns)
