"""From two frames of the same columns to a decision: prepared, measured, decided, and what moved told."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
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
from models.drift.words import METHOD, Vocabulary, compare_words, is_vocabulary, split_texts

NEWEST = 4
"""One part in so many of what was learned is its newest."""


@dataclass(frozen=True)
class Parts:
    """Which rows of a reference are compared, oldest first: of what was learned it has those at least."""

    sample: Rows
    """Drawn of all that was learned."""
    newest: int
    """So many at its end are the newest quarter of what was learned, or as many of it as are compared."""


def parts_of(config: DriftConfig, rows: int, seed: int) -> Parts:
    """Of a reference that has all `rows` that were learned."""
    newest = min(config.reference_rows, rows // NEWEST)
    if rows <= config.reference_rows:
        return Parts(slice(None), newest)
    random = np.random.RandomState(seed)
    return Parts(np.sort(random.choice(rows, config.reference_rows, replace=False)), newest)


def compare(
    config: DriftConfig,
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    html: Path,
    seed: int,
    dates: Collection[str] = (),
    beside: Sequence[Sheet] = (),
    parts: Parts | None = None,
) -> tuple[DriftDecision, Path | None]:
    """Compare two frames of the same columns, oldest rows first, and write Evidently's report to `html`.

    Args:
        dates: fields that are dates.
        beside: what else the page is to show.
        parts: as for `judge_frames`.
    """
    decision, drawn = judge_frames(config, reference, current, seed=seed, dates=dates, parts=parts)
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
    parts: Parts | None = None,
) -> tuple[DriftDecision, DrawnRows]:
    """The decision on two frames of the same columns, oldest rows first, and rows of them for a page.

    What has moved from all of the reference, and is near to the newest quarter of it, is no drift any more:
    it is learned. At most `config.reference_rows` and `config.current_rows` are compared: a sample of the
    reference, the last rows of the current ones.

    Args:
        dates: fields that are dates.
        frequent: share from which on a category is compared by itself.
        parts: which rows of the reference are compared; None: it has all that was learned: they are drawn.
    """
    chosen = parts_of(config, len(reference), seed) if parts is None else parts
    frames, newest = _split(config, reference, current), chosen.newest
    judge = partial(_judge_rows, config, frames, seed=seed, dates=dates, frequent=frequent)
    decision, drawn = judge(chosen.sample)
    if decision.verdict != "drift" or newest < config.min_rows:
        return decision, drawn
    lately, lately_drawn = judge(slice(len(reference) - newest, None))
    if lately.verdict != "no_drift" or _is_still_far(config, decision, lately):
        return decision, drawn
    learned = f"of the newest {newest} rows that were learned {lately.reason}; of all {decision.reason}"
    return replace(lately, reason=learned), lately_drawn


def judge_once(
    config: DriftConfig, reference: pd.DataFrame, current: pd.DataFrame, *, seed: int
) -> tuple[DriftDecision, DrawnRows]:
    """The same by one comparison, with all of the reference."""
    frames, rows = _split(config, reference, current), parts_of(config, len(reference), seed).sample
    return _judge_rows(config, frames, rows, seed=seed, dates=(), frequent=FREQUENT)


@dataclass(frozen=True)
class _Frames:
    """What is held against what: texts, which are compared by their words, and all else."""

    reference: pd.DataFrame
    texts: pd.DataFrame
    """Of the reference."""
    now: Side
    texts_now: pd.DataFrame

    def words(self, rows: Rows, ignore: Collection[str]) -> dict[str, Vocabulary]:
        """Column to the words of some rows of the reference and of all that are recent."""
        before = self.texts.iloc[rows]
        names = [name for name in before.columns if name.partition(":")[0] not in ignore]
        words = {name: compare_words(before[name].tolist(), self.texts_now[name].tolist()) for name in names}
        return {name: one for name, one in words.items() if one.words or one.rare}


def _split(config: DriftConfig, reference: pd.DataFrame, current: pd.DataFrame) -> _Frames:
    texts, reference = split_texts(reference)
    texts_now, current = split_texts(current.tail(config.current_rows))
    now = read_side(current, categories=category_columns(reference))
    return _Frames(reference, texts, now, texts_now)


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
    is_enough = len(far) >= config.share * len(lately.columns) or any(map(is_vocabulary, far))
    return bool(far) and is_enough


def _judge_rows(
    config: DriftConfig,
    frames: _Frames,
    rows: Rows,
    *,
    seed: int,
    dates: Collection[str],
    frequent: float,
) -> tuple[DriftDecision, DrawnRows]:
    """One comparison with some rows of the reference, where there are enough for it."""
    before, now = read_side(frames.reference, rows), frames.now
    decide = partial(decide_drift, config, reference_rows=before.rows, current_rows=now.rows)
    if min(before.rows, now.rows) < config.min_rows:
        return decide({}, {}), no_rows()
    columns = prepare_columns(before, now, ignore=config.ignore, dates=dates, frequent=frequent)
    distances = measure_distances(config, columns.forms, before, now)
    unmeasured = {name: "no distance could be measured" for name in columns.forms if name not in distances}
    words = frames.words(rows, config.ignore)
    # They are said also where they moved too little to count.
    told = {name: sentence for name, one in words.items() if (sentence := one.tell()) is not None}
    decision = decide(
        {**distances, **{name: (METHOD, one.distance) for name, one in words.items()}},
        {
            **column_p_values(before, now, list(distances)),
            **{name: one.p_value for name, one in words.items()},
        },
        gone=columns.gone,
        left_out={**columns.left_out, **unmeasured},
        remarks={**remark_on(before, now, list(distances)), **told},
        enough=words,  # the whole of a text, of which other columns are lengths and shares
    )
    decision = _with_moves(decision, before, now, words, columns.gone)
    return decision, draw_rows(columns.forms, before, now, seed=seed)


def _with_moves(
    decision: DriftDecision,
    before: Side,
    now: Side,
    words: Mapping[str, Vocabulary],
    gone: Mapping[str, tuple[float, float]],
) -> DriftDecision:
    """The same, with what each column that has moved was before and is now."""

    def tell(name: str) -> str | None:
        if name in words:
            return words[name].tell()
        if name in gone:  # the values that are left do not show it
            return "missing in {1:.0%} of recent records ({0:.0%} before)".format(*gone[name])
        return tell_move(before.summaries[name], now.summaries[name])

    columns = {
        name: replace(one, moved=tell(name)) if one.drifted else one for name, one in decision.columns.items()
    }
    return replace(decision, columns=columns)
