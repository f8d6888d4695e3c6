"""Which held-out rows a challenger may be judged on, where the labels of answers seem to be chosen.

Labels of answers may come for the wrong ones only, by whatever way. Then only those of the audit sample say
what all answers would; a challenger is judged on them, and on rows of files that label no answer, as without
a service. Rows that came over HTTP with a record that nobody was answered on stay out too: whoever chose
labels could send what was chosen like that.

Of rows that are nearly alike a few count. And where rows that label no answer hold hardly any of a class,
they may have been chosen by it: nothing is promoted on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from configs.schema import UseCase
from features.records.contract import Columns
from features.records.rows import RowSource
from flows.context import LoopContext
from flows.retrain.production import Production
from models.gate.class_scores import missing_class
from models.gate.selection import LEAST_DISTANCE, LabelSelection, weigh_selection
from models.gate.weights import MOST_UNCOVERED, RowWeights, post_stratify
from models.production.live_quality import score_at_promotion
from models.streamed.sources import ChosenRows, gather
from store.feedback.insertion import HTTP_SOURCE
from store.feedback.rows import FeedbackRows
from store.predictions.answer_sample import AnswerSample, read_answer_sample
from store.predictions.audits import ENOUGH, AuditDemand, is_audited
from store.samples.chance import draw
from store.snapshots.frames import Frame, SplitRows
from store.snapshots.index import Snapshot
from store.splits.alike import MOST_ALIKE, few_of_each, usual_spreads


@dataclass(frozen=True)
class Usual:
    """What the rows that production learned from are like."""

    spreads: Mapping[str, float]
    """Of its fields (`store.splits.alike`)."""
    classes: Mapping[str, float]
    """Share of each class."""


NOTHING_USUAL = Usual({}, {})
MOST_USUAL = 100_000
"""Rows by which it is told what rows are like; of so many a quartile is off by 0.14 % of the rows."""


@dataclass(frozen=True)
class Protection:
    """What the labels of answers are worth, and the held-out rows to judge on for all that."""

    selection: LabelSelection | None = None
    """None: no new label belongs to an answer."""
    places: NDArray[np.intp] | None = None
    """Of the held-out rows those to judge on; None: all of them."""
    weights: NDArray[np.float64] | None = None
    """What each of those counts for; None: all count alike."""
    note: str | None = None
    """What those rows are, for the evidence."""
    problem: str | None = None
    """Why there are too few of them, and what to do; nothing is promoted then."""
    usual: Usual = NOTHING_USUAL
    """What rows that nobody can have chosen by now are like."""


UNCHOSEN = Protection()
"""Nothing shows that labels were chosen."""


def protect_rows(
    context: LoopContext, production: Production, snapshot: Snapshot, rows: SplitRows
) -> Protection:
    """Find out whether labels seem to be chosen, and which held-out rows are to be judged on."""
    if production.version is None:
        return UNCHOSEN  # what answered before the first model was no model
    usual, holdout = _usual(production, rows.learn, context.use_case.training.seed), rows.holdout
    since = None if production.reach is None else production.reach.last
    with context.connect() as conn:
        sample = _read_sample(conn, context, since, snapshot.last_seq)
    protection = replace(_of_answers(context, production, sample, holdout), usual=usual)
    if protection.problem is not None:
        return protection
    protection = _thinned(context, protection, holdout)
    judged = holdout if protection.places is None else holdout.take(protection.places)
    missing = chosen_by_class(
        context.use_case, usual, list(judged.labels), answering=_answering(judged.seq, sample)
    )
    if missing is None:
        return protection
    selection = None if protection.selection is None else replace(protection.selection, by_class=True)
    return replace(protection, selection=selection, problem=missing)


def _usual(production: Production, learn: RowSource, seed: int) -> Usual:
    """What rows that production learned from, as they are still, are like; of many `MOST_USUAL` are drawn."""
    drawn = np.isin(learn.seq, draw(learn.seq, MOST_USUAL, seed))
    drawn[drawn] = production.learned.holds_truth(learn.seq[drawn])
    rows = gather(ChosenRows(learn, drawn))
    return NOTHING_USUAL if rows is None else usual_of(rows.columns, rows.labels)


def usual_of(columns: Columns, labels: NDArray[np.object_]) -> Usual:
    """What rows that production learned from are like."""
    names, counts = np.unique(labels.astype(str), return_counts=True)
    shares = counts / max(1, len(labels))
    return Usual(usual_spreads(columns), dict(zip(names.tolist(), shares.tolist(), strict=True)))


def _answering(seq: NDArray[np.int64], sample: AnswerSample) -> int:
    return int(np.isin(seq, sample.seq[sample.labelled]).sum())


def _thinned(context: LoopContext, protection: Protection, holdout: Frame) -> Protection:
    """The same, with few rows of those that are nearly alike."""
    places = np.arange(len(holdout)) if protection.places is None else protection.places
    kept = few_of_each(
        holdout.take(places).columns, protection.usual.spreads, seed=context.use_case.training.seed
    )
    if len(kept) == len(places):
        return protection
    note = (
        f"{len(places) - len(kept)} of {len(places)} held-out rows are left out: of those nearly alike "
        f"{MOST_ALIKE} count"
    )
    weights = None if protection.weights is None else protection.weights[kept]
    notes = [one for one in (protection.note, note) if one is not None]
    return replace(protection, places=places[kept], weights=weights, note="; ".join(notes))


def chosen_by_class(use_case: UseCase, usual: Usual, labels: Sequence[str], *, answering: int) -> str | None:
    """Why rows seem to be chosen by their class; None where nothing shows it.

    Rows of which half at least label answers are not looked at: all answers tell how often a class comes.

    Args:
        answering: how many of the rows label answers.
    """
    least = use_case.gate.least_class
    if least is None or 2 * answering >= len(labels):
        return None
    missing = missing_class(use_case.target, labels, usual.classes, least)
    if missing is None:
        return None
    return (
        f"labels may be selected by class: {missing} (gate.least_class: {least:g}); labels of answers show "
        "whether it comes no more, and `gate.least_class: null` says that it does not matter"
    )


def _of_answers(
    context: LoopContext, production: Production, sample: AnswerSample, holdout: Frame
) -> Protection:
    """Whether labels of answers were chosen, and which held-out rows nobody has chosen then."""
    if production.version is None or not len(sample):
        return UNCHOSEN
    use_case = context.use_case
    with context.connect() as conn:
        expected = _expected(conn, context, production.version.version)
        selection = weigh_sample(sample, expected, use_case.training.seed)
        if selection.warning is None:
            return Protection(selection)
        audited, unanswered = audited_and_unanswered(conn, use_case.name, sample, holdout.seq)
    usable = (audited if selection.audits_are_enough else np.zeros_like(audited)) | unanswered
    places = np.flatnonzero(usable)
    held_out, others = int(audited.sum()), int(unanswered.sum())
    selection = replace(selection, others_held_out=others)
    note = _note(selection, held_out, others, len(holdout))
    if len(places) >= use_case.gate.min_rows:
        return Protection(selection, places, note=f"{selection.warning}; {note}")
    if use_case.gate.labels_chosen_by == "answer" and production.predictor is not None:
        return _weighed(context, sample, selection, held_out, holdout)
    return Protection(selection, problem=_problem(context, selection, held_out, note))


def doubt_of_labels(
    context: LoopContext,
    production: Production,
    usual: Usual,
    rows: FeedbackRows,
    since_seq: int | None,
    until_seq: int,
) -> str | None:
    """Why the labels after one arrival and up to another seem to be chosen; None where nothing shows it.

    Args:
        rows: of these those that are asked about.
    """
    if production.version is None:
        return None
    with context.connect() as conn:
        sample = _read_sample(conn, context, since_seq, until_seq)
        expected = _expected(conn, context, production.version.version)
    by_class = chosen_by_class(
        context.use_case, usual, rows.labels.tolist(), answering=_answering(rows.seq, sample)
    )
    if by_class is not None or not len(sample):
        return by_class
    return weigh_sample(sample, expected, context.use_case.training.seed).warning


def unchosen_rows(
    context: LoopContext,
    production: Production,
    usual: Usual,
    rows: FeedbackRows,
    since_seq: int | None,
    until_seq: int,
) -> tuple[NDArray[np.bool_], str | None]:
    """Which of n rows count where labels seem to be chosen, shape (n,), and what shows that they were.

    Without a sign of it all do. Labelled answers that are right much more seldom than when production was
    judged are none where the audited ones are as well.
    """
    every, none = np.ones(len(rows), dtype=np.bool_), np.zeros(len(rows), dtype=np.bool_)
    if production.version is None:
        return every, None
    with context.connect() as conn:
        sample = _read_sample(conn, context, since_seq, until_seq)
        by_class = chosen_by_class(
            context.use_case, usual, rows.labels.tolist(), answering=_answering(rows.seq, sample)
        )
        if by_class is not None:
            return none, by_class
        if not len(sample):
            return every, None
        expected = _expected(conn, context, production.version.version)
        selection = weigh_sample(sample, expected, context.use_case.training.seed)
        if selection.warning is None or selection.fell_for_all:
            return every, None
        audited, unanswered = audited_and_unanswered(conn, context.use_case.name, sample, rows.seq)
    return (audited | unanswered if selection.audits_are_enough else unanswered), selection.warning


def _read_sample(
    conn: psycopg.Connection[Any], context: LoopContext, since_seq: int | None, until_seq: int
) -> AnswerSample:
    use_case = context.use_case
    return read_answer_sample(
        conn,
        use_case.name,
        since_seq=since_seq,
        until_seq=until_seq,
        oldest=use_case.retention.answers_since(datetime.now(UTC)),
    )


def _weighed(
    context: LoopContext, sample: AnswerSample, selection: LabelSelection, audited: int, holdout: Frame
) -> Protection:
    """Held-out rows that stand for all answers by their weights, if what was declared can be."""
    least = context.use_case.gate.min_rows
    held_out = sample.labelled & np.isin(sample.seq, holdout.seq)
    rows = post_stratify(sample.labels, sample.scores, held_out)
    of_seq = dict(zip(sample.seq[held_out].tolist(), rows.weights[held_out].tolist(), strict=True))
    right = float(np.average(sample.correct, weights=rows.weights)) if held_out.any() else None
    note = (
        f"chosen by answer and score alone, as is declared: {int(held_out.sum())} held-out labels of answers "
        f"are weighed to stand for all, and are worth {rows.effective_rows:.0f}"
    )
    doubt = _doubt(selection, rows, right, least)
    if doubt is not None:
        return Protection(selection, problem=_problem(context, selection, audited, f"{note}; but {doubt}"))
    places = np.flatnonzero(np.isin(holdout.seq, list(of_seq)))
    weights = np.array([of_seq[seq] for seq in holdout.seq[places].tolist()], dtype=np.float64)
    return Protection(selection, places, weights, f"{selection.warning}; {note}")


def _doubt(selection: LabelSelection, rows: RowWeights, right: float | None, least: int) -> str | None:
    """Why weights do not repair the choice; None where nothing speaks against it."""
    if right is None or rows.effective_rows < least:
        return f"that is less than {least} rows"
    if rows.uncovered > MOST_UNCOVERED:
        return f"{rows.uncovered:.1%} of all answers are of a kind of which no label is held out"
    if selection.avoided.shown:
        return "audited answers are avoided"
    sides = {
        "of the audited ones": selection.audited_right,
        "when production was judged": selection.fall.expected,
    }
    for what, share in sides.items():
        if share is not None and abs(share - right) >= LEAST_DISTANCE:
            return (
                f"{right:.1%} are right for all that, {share:.1%} {what}: they are chosen by right and wrong"
            )
    return None


def _expected(conn: psycopg.Connection[Any], context: LoopContext, version: int) -> float | None:
    """Share of held-out rows that production got right when it was judged; None where no run tells."""
    use_case = context.use_case
    metric = "subset_accuracy" if use_case.target.task == "multilabel" else "accuracy"
    return score_at_promotion(conn, use_case.name, version, metric)


def weigh_sample(sample: AnswerSample, expected: float | None, seed: int) -> LabelSelection:
    """Hold the labelled answers against all of them; `expected` is the share of right ones."""
    selection = weigh_selection(
        sample.labels,
        sample.scores,
        sample.origins,
        sample.labelled,
        sample.correct,
        sample.audited,
        expected=expected,
        seed=seed,
    )
    return replace(selection, since=None if sample.first_at is None else sample.first_at.isoformat())


def audited_and_unanswered(
    conn: psycopg.Connection[Any], use_case: str, sample: AnswerSample, arrivals: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows (their arrivals) label an audited answer, and which came in a file and label no answer."""
    rows = {
        seq: (prediction_id, source)
        for seq, prediction_id, source in conn.execute(
            "SELECT seq, prediction_id, source FROM feedback WHERE use_case = %s AND seq = ANY(%s)",
            (use_case, arrivals.tolist()),
        )
    }
    answered = set(sample.seq.tolist())
    in_sample = set(sample.seq[sample.audited].tolist())
    audited, unanswered = (np.zeros(len(arrivals), dtype=np.bool_) for _ in range(2))
    for place, seq in enumerate(arrivals.tolist()):
        prediction_id, source = rows.get(seq, (None, HTTP_SOURCE))  # gone meanwhile: of no use
        audited[place] = seq in in_sample or (prediction_id is not None and is_audited(prediction_id))
        unanswered[place] = prediction_id is None and source != HTTP_SOURCE and seq not in answered
    return audited, unanswered


def _note(selection: LabelSelection, audited: int, unanswered: int, rows: int) -> str:
    counts = f"{selection.audited_labelled} of {selection.audited} audited answers have a label"
    few = "" if selection.audits_are_enough else f", too few to count: {ENOUGH:.0%} must have one"
    return (
        f"of {rows} held-out rows {audited} are labels of audited answers ({counts}{few}) and {unanswered} "
        "came in files and label no answer: only such rows are protected against that"
    )


def _problem(context: LoopContext, selection: LabelSelection, audited: int, note: str) -> str:
    """What is missing before anything is promoted, and then what showed that labels were chosen."""
    use_case = context.use_case
    demand = AuditDemand(
        answers=selection.audited,
        labelled=selection.audited_labelled,
        held_out=audited,
        others=selection.others_held_out,
        least=use_case.gate.min_rows,
    )
    return f"labels may be selected: {demand.sentence(use_case.name)}. {selection.figures}; {note}"
