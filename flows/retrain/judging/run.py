"""All challengers of a run judged: the held-out rows that count, and what else is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from flows.context import LoopContext
from flows.retrain.held_run import HeldRun
from flows.retrain.judging.deciding import judge_challengers
from flows.retrain.judging.judgement import Judgement
from flows.retrain.judging.plain import keep_configured
from flows.retrain.production import Production
from flows.retrain.protection import UNCHOSEN, Protection
from flows.retrain.shadows import NO_EVIDENCE, Evidence, record_gains
from flows.retrain.training.challenger import Trained
from models.gate.answers import refused_rows
from models.gate.limits.costs import Costs, measure_costs
from models.gate.sources import JudgedSources
from models.streamed.sources import labels_of
from store.feedback.sources import deciding_sources, labels_before
from store.snapshots.frames import Frame, SplitRows
from store.snapshots.learned import AnyLearned
from store.sources.standings import read_sources

COMPARED_ALL_THE_SAME = (
    "production was deleted in MLflow, or had lost its alias there, and was compared all the same"
)


def judge_all(
    context: LoopContext,
    held: HeldRun,
    production: Production,
    split: SplitRows,
    trained: Mapping[str, Trained],
    *,
    left_out: str | None = None,
    protection: Protection = UNCHOSEN,
    evidence: Evidence = NO_EVIDENCE,
) -> Judgement:
    """Score challengers and production on the held-out rows.

    Args:
        left_out: why they say too little of production.
        protection: which of them count, where labels were chosen.
        evidence: of earlier retrains.
    """
    held.ensure_running()
    rows = split.holdout if protection.places is None else split.holdout.take(protection.places)
    held.say("gate", rows=len(rows))
    judgement = judge_challengers(
        context.use_case,
        rows.columns,
        list(rows.labels),
        {name: made.predictor for name, made in trained.items()},
        production.predictor,
        production_error=production.error,
        production_gone=production.gone,
        labels_left_out=left_out,
        labels_selected=protection.problem,
        row_weights=protection.weights,
        training_labels=lambda: labels_of(split.learn),
        original=original_rows(split.beside, production),
        sources=judged_sources(context, rows, production.learned),
        records=record_gains(context, evidence, trained),
        tries=evidence.tries,
        newest=evidence.record.newest(rows.seq),
        costs=costs_of(context, rows, trained),
    )
    judgement = keep_configured(context.use_case, judgement)
    notes = [
        protection.note,
        None if production.problem is None else COMPARED_ALL_THE_SAME,
        _refused(production, judgement, rows),
    ]
    decisions = {
        name: replace(
            one,
            reason="; ".join([one.reason, *(note for note in notes if note is not None)]),
            selection=protection.selection,
        )
        for name, one in judgement.decisions.items()
    }
    return replace(judgement, decisions=decisions)


def _refused(production: Production, judgement: Judgement, rows: Frame) -> str | None:
    """How many of the judged rows production refuses where it serves, and why."""
    if production.predictor is None or judgement.answers.production is None:
        return None
    refused = refused_rows(production.predictor, rows.columns)
    if not refused:
        return None
    return (
        f"production refuses {len(refused)} of these rows where it serves, and counts on them as one that "
        f"knows nothing of the record ({refused[min(refused)]})"
    )


def costs_of(context: LoopContext, rows: Frame, trained: Mapping[str, Trained]) -> dict[str, Costs]:
    """What each challenger costs where it serves; timed only where the gate has a limit for that."""
    timed = context.use_case.gate.most_latency_ms is not None
    return {
        name: measure_costs(made.artifact, made.predictor, rows.columns, timed=timed)
        for name, made in trained.items()
    }


def judged_sources(context: LoopContext, judged: Frame, learned: AnyLearned) -> JudgedSources:
    """Whose labels rows have, whom production learned from, and which sources a person lets count anyway."""
    name = context.use_case.name
    with context.connect() as conn:
        return JudgedSources(
            deciding_sources(conn, name, judged.identities.tolist()),
            [one.name for one in read_sources(conn, name) if one.told == "release"],
            labels_before(conn, name, learned.last),
        )


def original_rows(beside: Frame, production: Production) -> Frame:
    """Rows that the original version was judged on, and from which neither party has learned since.

    They come from this run's snapshot, so a label that was corrected counts as corrected.

    Args:
        beside: rows of the snapshot that no challenger learns from.
    """
    original = np.array([one in production.original_holdout for one in beside.identities], dtype=np.bool_)
    return beside.take(np.flatnonzero(original & ~production.learned.holds(beside.identities)))
