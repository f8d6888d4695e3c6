"""From two frames of the same columns to a decision: prepared, measured, decided, and what moved told."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd

from configs.schema import DriftConfig
from models.drift.certainty import column_p_values
from models.drift.columns import FREQUENT, ComparableColumns, prepare_columns
from models.drift.decision import DriftDecision, decide_drift
from models.drift.distances import is_beyond, measure_distances
from models.drift.page import Sheet, draw_page
from models.drift.remarks import remark_on, tell_move
from models.drift.words import METHOD, Vocabulary, compare_words, is_vocabulary, split_texts

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
    decision, columns = judge_frames(config, reference, current, seed=seed, dates=dates)
    sheets = [sheet for sheet in (Sheet(decision, columns), *beside) if sheet.names]
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
) -> tuple[DriftDecision, ComparableColumns]:
    """The decision on two frames of the same columns, oldest rows first, and the columns it was made of.

    What has moved from all of the reference, and is near to the newest quarter of it, is no drift any more:
    it is learned.

    Args:
        dates: fields that are dates.
        frequent: share from which on a category is compared by itself.
    """
    judge = partial(judge_once, config, current=current, seed=seed, dates=dates, frequent=frequent)
    decision, columns = judge(reference)
    newest = reference.tail(min(config.reference_rows, len(reference) // NEWEST))
    if decision.verdict != "drift" or len(newest) < config.min_rows:
        return decision, columns
    lately, lately_columns = judge(newest)
    if lately.verdict != "no_drift" or _is_still_far(config, decision, lately):
        return decision, columns
    learned = f"of the newest {len(newest)} rows that were learned {lately.reason}; of all {decision.reason}"
    return replace(lately, reason=learned), lately_columns


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


def judge_once(
    config: DriftConfig,
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    seed: int,
    dates: Collection[str] = (),
    frequent: float = FREQUENT,
) -> tuple[DriftDecision, ComparableColumns]:
    """The same of one comparison.

    At most `config.reference_rows` and `config.current_rows` are compared: a sample of the
    reference, the last rows of the current ones.
    """
    if len(reference) > config.reference_rows:
        reference = reference.sample(config.reference_rows, random_state=seed).sort_index()
    current = current.tail(config.current_rows)
    decide = partial(decide_drift, config, reference_rows=len(reference), current_rows=len(current))
    if min(len(reference), len(current)) < config.min_rows:
        return decide({}, {}), ComparableColumns(pd.DataFrame(), pd.DataFrame(), {}, {})
    vocabularies, reference, current = _split_words(config, reference, current)
    columns = prepare_columns(reference, current, ignore=config.ignore, dates=dates, frequent=frequent)
    distances = dict(measure_distances(config, columns.reference, columns.current))
    kept = list(distances)
    p_values = dict(column_p_values(reference[kept], current[kept]))
    unmeasured = dict.fromkeys(
        set(columns.reference.columns) - set(distances), "no distance could be measured"
    )
    left_out = {**columns.left_out, **unmeasured}
    remarks = dict(remark_on(reference[kept], current[kept]))
    for name, words in vocabularies.items():
        distances[name], p_values[name] = (METHOD, words.distance), words.p_value
        if (told := words.tell()) is not None:  # said also where they moved too little to count
            remarks[name] = told
    decision = decide(
        distances,
        p_values,
        gone=columns.gone,
        left_out=left_out,
        remarks=remarks,
        enough=vocabularies,  # the whole of a text, of which other columns are lengths and shares
    )
    return _with_moves(decision, reference, current, vocabularies), columns


def _split_words(
    config: DriftConfig, reference: pd.DataFrame, current: pd.DataFrame
) -> tuple[dict[str, Vocabulary], pd.DataFrame, pd.DataFrame]:
    """Columns that are texts by the words of both, and the frames of the others."""
    (before, reference), (now, current) = split_texts(reference), split_texts(current)
    names = [name for name in before.columns if name.partition(":")[0] not in config.ignore]
    words = {name: compare_words(before[name].tolist(), now[name].tolist()) for name in names}
    return {name: one for name, one in words.items() if one.words}, reference, current


def _with_moves(
    decision: DriftDecision,
    reference: pd.DataFrame,
    current: pd.DataFrame,
    vocabularies: Mapping[str, Vocabulary],
) -> DriftDecision:
    """The same, with what each column that has moved was before and is now."""
    columns = {}
    for name, one in decision.columns.items():
        if not one.drifted:
            columns[name] = one
        elif name in vocabularies:
            columns[name] = replace(one, moved=vocabularies[name].tell())
        else:
            columns[name] = replace(one, moved=tell_move(reference[name], current[name]))
    return replace(decision, columns=columns)
