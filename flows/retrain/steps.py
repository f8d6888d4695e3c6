"""The steps of a retrain, as plain functions; `flows.loop` makes Prefect tasks of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from subprocess import CalledProcessError, run
from typing import Any

import numpy as np

from configs.schema import ChallengerConfig, ModelConfig, UseCase
from configs.settings import CHECKOUT
from flows.compute.contract import Pool
from flows.compute.opening import address_of, opened_pool
from flows.context import LoopContext
from flows.retrain.checkpoints import checkpoint_folder, clear_checkpoints
from flows.retrain.elsewhere.sending import Ordering, Taking, train_side_by_side
from flows.retrain.held_run import HeldRun
from flows.retrain.judging import Judgement, judge_challengers
from flows.retrain.plain.challenger import PLAIN, plain_challenger
from flows.retrain.plain.standing import keep_configured
from flows.retrain.plan import planned_challengers, planned_links
from flows.retrain.production import Production
from flows.retrain.protection import UNCHOSEN, Protection, protect
from flows.retrain.shadows import NO_EVIDENCE, Evidence, record_gains
from flows.retrain.training import NO_RECORD, Trained, newest_wanted, train_challenger
from models.errors import ModelError, NoChallenger, TrainingStopped
from models.gate.limits.costs import Costs, measure_costs
from models.gate.sources import JudgedSources
from models.production.promotion import reconcile
from models.retraining.backlog import decide_now
from models.retraining.triggers import RetrainDecision
from models.shadows.record import Record
from models.streamed.choosing import learns_over_partitions
from models.streamed.sources import labels_of
from models.versions.artifact import Lineage
from store.feedback.rows import count_feedback
from store.feedback.sources import deciding_sources, labels_before
from store.ingest.files import ingest_dataset, ingest_file
from store.ingest.report import IngestReport
from store.quarantine.rows import describe_quarantine
from store.runs.tries import last_tries
from store.snapshots.frames import Frame, SplitRows
from store.snapshots.index import Snapshot
from store.snapshots.learned import AnyLearned
from store.snapshots.learned_snapshots import learned_until
from store.snapshots.restoring import open_split
from store.snapshots.rows_on_disk import RowsOnDisk
from store.snapshots.taken_back import count_gone
from store.sources.standings import read_sources
from store.splits.taking import take_snapshot

COMPARED_ALL_THE_SAME = (
    "production was deleted in MLflow, or had lost its alias there, and was compared all the same"
)


def ensure_data(context: LoopContext) -> IngestReport | None:
    """Read the configured first data when nothing has been ingested yet."""
    data = context.use_case.data
    with context.connect() as conn:
        if count_feedback(conn, context.use_case.name):
            return None
        if data.dataset is not None:
            return ingest_dataset(conn, context.use_case, data.dataset, rows=data.rows)
        if data.path is not None:
            return ingest_file(conn, context.use_case, Path(data.path), rows=data.rows)
    return None


def settle(context: LoopContext) -> list[str]:
    """Finish or abandon what an earlier run left half-done."""
    with context.connect() as conn:
        return reconcile(conn, context.registry, context.use_case.name)


def retrain_decision(context: LoopContext) -> RetrainDecision:
    """Whether a retrain is due now."""
    with context.connect() as conn:
        return decide_now(conn, context.registry, context.use_case)


def snapshot_rows(
    context: LoopContext, production: Production, learned: AnyLearned | None = None
) -> Snapshot:
    """Freeze the feedback, split into training and held-out rows.

    Args:
        learned: rows that production or what else is judged has learned from; default production's.

    Where production was taken back, what had come by then, for that version or while it served, could bring
    its like back: only records are held out of which nothing had come when it was taken back.
    """
    use_case, known = context.use_case, production.known
    with context.connect() as conn:
        met = production.learned if learned is None else learned
        if known is not None and production.was_taken_back:
            met |= learned_until(conn, use_case, context.settings.home, known.last)
        return take_snapshot(conn, use_case, context.settings.home, since=known, learned=met)


def read_rows(
    context: LoopContext, held: HeldRun, production: Production, snapshot: Snapshot, folder: Path
) -> SplitRows:
    """The rows of a snapshot to judge on, and of those to learn from all that a challenger's window holds.

    Args:
        folder: of a file with those to learn from, where they are many; as long as they are used.
    """
    made = [one for group in _to_make(context.use_case, held, production) for one in group]
    newest = newest_wanted(made, count=held.options.sample_count)
    use_case, home = context.use_case, context.settings.home
    with context.connect() as conn:
        return open_split(conn, use_case, home, snapshot.digest, folder, newest=newest)


def not_enough(context: LoopContext, production: Production, snapshot: Snapshot) -> str | None:
    """Why nothing can be trained from the snapshot, if so."""
    least = context.use_case.training.min_rows
    if snapshot.train_rows < least:
        short = f"{snapshot.train_rows} rows to learn from; training needs {least}"
        return "; ".join([short, *misfits(context, snapshot), *refused(context)])
    if snapshot.holdout_rows == 0:
        return "; ".join([_nothing_to_judge_on(production), *misfits(context, snapshot)])
    return None


def _nothing_to_judge_on(production: Production) -> str:
    if production.was_taken_back:
        return (
            "no row could be held out to judge on: no record has come since a version was taken back, and "
            "what had come by then could bring its like back; send new labels"
        )
    return (
        "no row could be held out to judge on: there is no record that production has not learned from; "
        "`training.holdout.by: hash` keeps a share of all records for that, from the first training on"
    )


def untried_taken_back(context: LoopContext) -> int:
    """Labels that the last run had in hand and that were taken back since."""
    with context.connect() as conn:
        tried = last_tries(conn, context.use_case.name).snapshot
        return 0 if tried is None else count_gone(conn, tried)


def misfits(context: LoopContext, snapshot: Snapshot) -> list[str]:
    """How many stored rows do not fit the configuration, why, and what to do; nothing where all do."""
    rows = snapshot.left_out_rows
    if rows == 0:
        return []
    name, first = context.use_case.name, snapshot.left_out[0]
    return [
        f"{'1 stored row does' if rows == 1 else f'{rows:,} stored rows do'} not fit the configuration and "
        f"{'was' if rows == 1 else 'were'} left out: {first.sentence}; `ratchet recheck {name}` shows them, "
        f"and `ratchet relabel {name}` changes labels"
    ]


def labels_left_out(context: LoopContext, production: Production, snapshot: Snapshot) -> str | None:
    """Why no challenger can be held against production: rows of classes that only it knows were left out."""
    classes, predictor = context.use_case.target.classes, production.predictor
    rows = sum(reason.rows for reason in snapshot.left_out if reason.rule.startswith("label: "))
    gone = [name for name in (() if predictor is None else predictor.classes) if name not in classes]
    if not (classes and gone and rows):
        return None
    return (
        f"production answers {', '.join(map(repr, gone[:5]))}, which the configuration no longer has, and "
        f"{rows:,} stored rows were left out for their labels: nothing is promoted until they are mapped or "
        f"moved; `ratchet relabel {context.use_case.name} --map OLD=NEW` (or --drop or --set-aside OLD)"
    )


def refused(context: LoopContext) -> list[str]:
    """How many rows are in quarantine, and why; nothing where there are none."""
    with context.connect() as conn:
        described = describe_quarantine(conn, context.use_case.name)
    return [] if described is None else [described]


def train_all(
    context: LoopContext,
    held: HeldRun,
    production: Production,
    snapshot: Snapshot,
    rows: SplitRows,
    *,
    trigger: str,
    workdir: Path,
    record: Record = NO_RECORD,
    taking: Taking = lambda step: step,
) -> tuple[dict[str, Trained], dict[str, str]]:
    """Train every challenger of the configuration, each from its checkpoint on where there is one.

    They are made one after the other, each by all cores of this machine, unless a pool is configured that
    makes them side by side (`compute`).

    Args:
        taking: how the step of one challenger is called that a pool makes.

    Returns:
        Those made, and for the others why not.

    Raises:
        TrainingStopped: somebody asked for it.
        ModelError: not one could be made.
    """
    use_case, home = context.use_case, context.settings.home
    ordering = Ordering(
        use_case,
        home,
        rows,
        production.learned,
        record,
        _lineage(held, production, snapshot, trigger),
        production.artifact,
        workdir,
    )
    if held.options.from_scratch:
        clear_checkpoints(home, use_case.name)
    candidates, plain, links = _to_make(use_case, held, production)
    address, planned = address_of(context.settings, use_case), (*candidates, *plain, *links)
    if address.scheduler is not None or ((address.processes or 1) > 1 and len(planned) > 1):
        with opened_pool(context.settings, use_case) as pool:
            made, errors = _train_by_pool(pool, held, planned, ordering, taking)
    else:
        made, errors = _train_in_turn(held, planned, ordering, beside=plain)
    if not any(one.name in made for one in candidates):
        for one in plain:  # it stands beside others, and in nobody's place
            made.pop(one.name, None)
            errors.pop(one.name, None)
    reasons = {name: str(error) for name, error in errors.items()}
    if errors and not any(one.name in made for one in candidates):
        raise NoChallenger(reasons) if len(errors) > 1 else next(iter(errors.values()))
    return made, reasons


def _train_by_pool(
    pool: Pool, held: HeldRun, planned: Sequence[ChallengerConfig], ordering: Ordering, taking: Taking
) -> tuple[dict[str, Trained], dict[str, ModelError]]:
    """Those made by a pool side by side, then those that each take the whole cluster, and what went wrong."""
    spread = [
        one
        for one in planned
        if pool.client is not None
        and isinstance(ordering.rows.learn, RowsOnDisk)
        and learns_over_partitions(ordering.use_case, one)
    ]
    alone = [one for one in planned if one not in spread]
    made, errors = train_side_by_side(pool, held, alone, ordering, taking)
    more, failed = _train_in_turn(held, spread, ordering, client=pool.client)
    made, errors = made | more, errors | failed
    in_order = [one.name for one in planned]
    return (
        {name: made[name] for name in in_order if name in made},
        {name: errors[name] for name in in_order if name in errors},
    )


def _train_in_turn(
    held: HeldRun,
    planned: Sequence[ChallengerConfig],
    ordering: Ordering,
    *,
    beside: Sequence[ChallengerConfig] = (),
    client: Any = None,
) -> tuple[dict[str, Trained], dict[str, ModelError]]:
    """Those made here, one after the other, and what went wrong with the others.

    Args:
        beside: those that are made only where one before them was.
        client: of a Dask cluster, over whose workers they learn.
    """
    made: dict[str, Trained] = {}
    errors: dict[str, ModelError] = {}
    for challenger in planned:
        if challenger in beside and not made:
            continue
        try:
            made[challenger.name] = train_challenger(
                ordering.use_case,
                ordering.rows,
                challenger,
                held=held,
                workdir=ordering.workdir,
                lineage=ordering.lineage,
                parent=ordering.parent,
                learned=ordering.learned,
                record=ordering.record,
                checkpoint_dir=checkpoint_folder(ordering.home, ordering.use_case, challenger),
                client=client,
            )
        except TrainingStopped:
            raise
        except ModelError as error:
            errors[challenger.name] = error
    return made, errors


def _to_make(
    use_case: UseCase, held: HeldRun, production: Production
) -> tuple[tuple[ChallengerConfig, ...], ...]:
    """What competes for production's place, the plain model where one stands beside it, and links."""
    candidates = planned_challengers(
        use_case, held.kind, held.options, production=_estimator_of(use_case, production)
    )
    plain = None if held.kind == "train" else plain_challenger(use_case, first=production.artifact is None)
    links = planned_links(use_case, held.kind, held.options)
    return candidates, () if plain is None else (plain,), links


def _estimator_of(use_case: UseCase, production: Production) -> ModelConfig | None:
    """By which production was made, for a warm start; one that does not load counts as the configured one."""
    if production.artifact is None:
        return None
    loaded = production.predictor
    if loaded is None:
        return use_case.model
    made = loaded.manifest
    if made.challenger == PLAIN and made.estimator != use_case.model.estimator:
        return None  # nobody configured it, so nothing goes on from it
    return ModelConfig(estimator=made.estimator, params=made.params)


def _lineage(held: HeldRun, production: Production, snapshot: Snapshot, trigger: str) -> Lineage:
    """Where every version of the run comes from."""
    return Lineage(
        snapshot_digest=snapshot.digest,
        parent_version=production.number,
        trigger=trigger,
        run_id=str(held.run_id),
        code_revision=code_revision(),
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
    notes = [protection.note, None if production.problem is None else COMPARED_ALL_THE_SAME]
    decisions = {
        name: replace(
            one,
            reason="; ".join([one.reason, *(note for note in notes if note is not None)]),
            selection=protection.selection,
        )
        for name, one in judgement.decisions.items()
    }
    return replace(judgement, decisions=decisions)


def costs_of(context: LoopContext, rows: Frame, trained: Mapping[str, Trained]) -> dict[str, Costs]:
    """What each challenger costs where it serves; timed only where the gate has a limit for that."""
    timed = context.use_case.gate.most_latency_ms is not None
    return {
        name: measure_costs(made.artifact, made.predictor, rows.columns, timed=timed)
        for name, made in trained.items()
    }


def protect_rows(
    context: LoopContext, production: Production, snapshot: Snapshot, rows: SplitRows
) -> Protection:
    """Which held-out rows may be judged on, where labels seem to be chosen or rows are nearly alike."""
    return protect(context, production, snapshot, rows)


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


@cache
def code_revision() -> str:
    """Commit of the checkout, with `+changes` when files differ from it."""
    try:
        return _git("rev-parse", "HEAD") + ("+changes" if _git("status", "--porcelain") else "")
    except (OSError, CalledProcessError):
        return "unknown"


def _git(*words: str) -> str:
    # Without locks: a run that is killed here would leave one behind, and nobody could commit any more.
    command = ["git", "--no-optional-locks", *words]
    answer = run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    return answer.stdout.strip()
