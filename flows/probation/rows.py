"""Which labelled rows tell of a promoted version: those that came after it was made, of new records."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from features.records.contract import LabelContract, RecordContract
from flows.context import LoopContext
from flows.retrain.production import Production
from flows.retrain.protection import MOST_USUAL, NOTHING_USUAL, Usual, unchosen_rows, usual_of
from models.production.tags import SNAPSHOT_TAG
from store.errors import SnapshotError
from store.feedback.rows import FeedbackRows, read_feedback
from store.samples.opening import open_to_draw
from store.snapshots.learned import AnyLearned, near
from store.snapshots.uses import TRAIN
from store.splits.alike import few_of_each
from store.splits.records import unmet_rows

log = logging.getLogger("ratchet.probation")


@dataclass(frozen=True)
class ProbationRows:
    """Rows in the order of their arrival."""

    rows: FeedbackRows
    doubt: str | None
    """Why some, or all, do not count: their labels seem to be chosen."""


def probation_rows(
    context: LoopContext,
    production: Production,
    learned: AnyLearned,
    since: int,
    until: int,
    *,
    most: int,
) -> ProbationRows:
    """The first rows of records that no version concerned has learned.

    Of rows that are nearly alike few count, and where labels of answers seem to be chosen those of audited
    answers and of files.

    Args:
        learned: by either version.
        since: arrival of the last row that either can have learned from, or was judged on.
        until: arrival of the newest row that is looked at.
        most: rows that count.
    """
    use_case = context.use_case
    with context.connect() as conn:
        came = read_feedback(
            conn,
            use_case.name,
            RecordContract(use_case.record),
            since,
            until,
            labels=LabelContract(use_case.target, use_case.record.missing),
        )
    rows = came.take(np.argsort(came.seq, kind="stable"))
    types, seed = {field.type for field in use_case.record.fields}, use_case.training.seed
    rows = rows.take(unmet_rows(rows, types, near(learned, rows), most=max(1, len(rows)), seed=seed))
    usual = _usual(context, production)
    rows = rows.take(np.sort(few_of_each(rows.columns, usual.spreads, seed=seed)))
    counted, doubt = unchosen_rows(context, production, usual, rows, since, until)
    return ProbationRows(rows.take(np.flatnonzero(counted)[:most]), doubt)


def _usual(context: LoopContext, production: Production) -> Usual:
    """What the rows that production learned from are like, of many by `MOST_USUAL` that are drawn.

    Nothing is known where its snapshot is damaged.
    """
    assert production.version is not None
    digest = production.version.tags.get(SNAPSHOT_TAG)
    if digest is None:
        return NOTHING_USUAL
    try:
        with context.connect() as conn:
            rows = open_to_draw(conn, context.use_case, context.settings.home, digest)
            drawn = rows.draw(MOST_USUAL, context.use_case.training.seed, use=TRAIN)
            train = rows.read(drawn.by_chance)
    except SnapshotError as error:
        log.warning("%s; what rows are usually like is not known", error)
        return NOTHING_USUAL
    return usual_of(train.columns, train.labels)
