"""What a drift check holds against what: records, production's answers to them, and the labels that came.

The newest records are looked at, whenever they came: a promotion makes none of them older. They are held
against the others that production learned from. Its answers to them are held against its answers to records
held out from it, as it is surer of what it has learned. Labels are held against the others of its snapshot,
unless they seem to be chosen: labels that came for wrong answers only are no drift.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from configs.schema import UseCase
from features.records.contract import Columns, RecordContract
from flows.context import LoopContext
from flows.retrain.protection import audited_and_unanswered, weigh_sample
from models.drift.answers import LearnedLabels, count_labels
from models.drift.judging import NEWEST, Parts, parts_of
from models.production import ledger
from models.production.live_quality import score_at_promotion
from models.production.tags import SNAPSHOT_TAG
from store.drift.checks import RecentLabels
from store.errors import SnapshotError
from store.feedback.rows import read_feedback
from store.predictions.answer_sample import AnswerSample, read_answer_sample
from store.samples.chance import draw
from store.samples.opening import open_to_draw
from store.samples.rows import Drawn, RowsToDraw
from store.snapshots.index import Snapshot, find_snapshot
from store.snapshots.uses import TRAIN

MOST_ANSWERED = 5000
"""Records on either side that production is asked about; more take it minutes and change nothing."""

log = logging.getLogger("ratchet.drift")


@dataclass(frozen=True)
class Learned:
    """Of production's snapshot what is compared: drawn rows and the newest, never all of many."""

    records: Columns
    """Of those that it learned from, oldest first."""
    parts: Parts
    """Which of these are compared."""
    held_out: Columns | None
    """Those that it did not, and that nobody seems to have chosen; None: there are none."""
    why_not: str
    """Why there are none, or fewer than were held out."""
    labels: NDArray[np.object_]
    """Of rows that it learned from or not, oldest first."""
    all_labels: LearnedLabels
    """How often each label is in the whole snapshot, and which of `labels` are compared."""
    rows: int
    """Of the snapshot."""


def read_learned(
    context: LoopContext,
    conn: psycopg.Connection[Any],
    snapshot: Snapshot,
    contract: RecordContract,
    looked_at: NDArray[np.int64],
) -> Learned:
    """What production learned from; if that cannot be had any more, all rows that had come by then.

    At most `drift.reference_rows` are drawn by the configured seed: the same of the same snapshot. Beside
    them the newest are read, and the rows that were held out; of a history of any size no more is in memory.

    Args:
        looked_at: labels of the recent records, which are not compared with themselves.
    """
    use_case = context.use_case
    try:
        rows = open_to_draw(conn, use_case, context.settings.home, snapshot.digest, without=looked_at)
    except SnapshotError as error:
        log.warning("%s; compared with all rows that had come by then", error)
        return _all_that_came(context, conn, snapshot, contract, looked_at)
    config, seed = use_case.drift, use_case.training.seed
    held_out, why_not = _held_out(conn, use_case, snapshot, rows)
    drawn = rows.draw(config.reference_rows, seed, use=TRAIN, one_newest_in=NEWEST)
    read = rows.read(np.union1d(drawn.seq, held_out))
    train, beside = read.train, read.holdout
    every = rows.draw(config.reference_rows, seed, one_newest_in=NEWEST)
    labels, seq = rows.labels(every.seq)
    counts = rows.label_counts()
    return Learned(
        train.columns,
        _parts(drawn, train.seq),
        beside.columns,
        why_not,
        labels,
        LearnedLabels(count_labels(counts, separator_of(use_case)), _parts(every, seq)),
        every.rows,
    )


def separator_of(use_case: UseCase) -> str | None:
    """What stands between the labels of a row that may have many; None: it has one."""
    return use_case.target.separator if use_case.target.task == "multilabel" else None


def _held_out(
    conn: psycopg.Connection[Any], use_case: UseCase, snapshot: Snapshot, rows: RowsToDraw
) -> tuple[NDArray[np.int64], str]:
    """Held-out rows that nobody seems to have chosen, at most so many as production is asked about."""
    held_out = rows.held_out()
    sample = _sample(conn, use_case, 0, snapshot.last_seq)
    unchosen, warning = _unchosen(conn, use_case, sample, held_out, None)
    return draw(held_out[unchosen], MOST_ANSWERED, use_case.training.seed), warning or ""


def _parts(drawn: Drawn, seq: NDArray[np.int64]) -> Parts:
    """Which of the rows that were read were drawn by chance; the newest are the last of them."""
    return Parts(np.flatnonzero(np.isin(seq, drawn.by_chance)), len(drawn.newest))


def _all_that_came(
    context: LoopContext,
    conn: psycopg.Connection[Any],
    snapshot: Snapshot,
    contract: RecordContract,
    looked_at: NDArray[np.int64],
) -> Learned:
    use_case = context.use_case
    rows = read_feedback(conn, use_case.name, contract, until_seq=snapshot.last_seq)
    rows = rows.take(~np.isin(rows.seq, looked_at))
    parts = parts_of(use_case.drift, len(rows), use_case.training.seed)
    counts = count_labels(Counter(map(str, rows.labels.tolist())), separator_of(use_case))
    why_not = "which rows were held out is not known any more"
    return Learned(rows.columns, parts, None, why_not, rows.labels, LearnedLabels(counts, parts), len(rows))


def first_learned(conn: psycopg.Connection[Any], use_case: str, otherwise: Snapshot) -> Snapshot:
    """The snapshot of the first version that won: rows that it was made of were never recent ones."""
    first = ledger.first_promoted(conn, use_case)
    tags = (None if first is None else ledger.known_tags(conn, use_case, first)) or {}
    try:
        return find_snapshot(conn, tags.get(SNAPSHOT_TAG, otherwise.digest))
    except SnapshotError:
        return otherwise


def believable_labels(
    context: LoopContext, conn: psycopg.Connection[Any], labels: RecentLabels
) -> tuple[RecentLabels, str | None]:
    """Recent labels that nobody seems to have chosen, and what shows that others were."""
    if not len(labels):
        return labels, None
    use_case = context.use_case
    sample = _sample(conn, use_case, int(labels.seq.min()) - 1, int(labels.seq.max()))
    expected = _expected(conn, use_case, sample)
    unchosen, warning = _unchosen(conn, use_case, sample, labels.seq, expected)
    return (labels, None) if warning is None else (labels.take(unchosen), warning)


def _sample(conn: psycopg.Connection[Any], use_case: UseCase, since_seq: int, until_seq: int) -> AnswerSample:
    oldest = use_case.retention.answers_since(datetime.now(UTC))
    return read_answer_sample(conn, use_case.name, since_seq=since_seq, until_seq=until_seq, oldest=oldest)


def _unchosen(
    conn: psycopg.Connection[Any],
    use_case: UseCase,
    sample: AnswerSample,
    seq: NDArray[np.int64],
    expected: float | None,
) -> tuple[NDArray[np.bool_], str | None]:
    """Which of n rows nobody seems to have chosen, shape (n,), and what shows that others were."""
    every = np.ones(len(seq), dtype=np.bool_)
    if not len(sample):
        return every, None
    selection = weigh_sample(sample, expected, use_case.training.seed)
    if selection.warning is None or selection.fell_for_all:
        return every, None
    audited, unanswered = audited_and_unanswered(conn, use_case.name, sample, seq)
    kept = audited | unanswered if selection.audits_are_enough else unanswered
    return kept, f"labels seem to be chosen ({selection.figures})"


def _expected(conn: psycopg.Connection[Any], use_case: UseCase, sample: AnswerSample) -> float | None:
    """The least share of right answers that a version among those of the sample had when it was judged."""
    metric = "subset_accuracy" if use_case.target.task == "multilabel" else "accuracy"
    versions = {origin.partition(" ")[0] for origin in sample.origins.tolist()}
    scores = [
        score_at_promotion(conn, use_case.name, int(one), metric) if one.isdecimal() else None
        for one in versions
    ]
    known = [score for score in scores if score is not None]
    return min(known) if known and len(known) == len(scores) else None
