"""What a retrain begins with: data, labels frozen, their rows read, and why there may be too few of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg

from features.errors import DownloadFailed, SourceError
from flows.context import LoopContext
from flows.retrain.held_run import HeldRun
from flows.retrain.production import Production
from flows.retrain.training.plan import plan_run
from flows.retrain.training.rows import newest_wanted
from models.production.promotion import reconcile
from models.retraining.backlog import decide_now
from models.retraining.triggers import RetrainDecision
from store.feedback.rows import count_feedback
from store.ingest.failed_downloads import forget_failed, note_failed
from store.ingest.files import ingest_dataset, ingest_file
from store.ingest.report import IngestReport
from store.quarantine.rows import describe_quarantine
from store.runs.tries import last_tries
from store.snapshots.frames import SplitRows
from store.snapshots.index import Snapshot
from store.snapshots.learned import AnyLearned
from store.snapshots.learned_snapshots import learned_until
from store.snapshots.restoring import open_split
from store.snapshots.taken_back import count_gone
from store.splits.taking import take_snapshot


def ensure_data(context: LoopContext) -> IngestReport | None:
    """Read the configured first data when nothing has been ingested yet.

    Raises:
        SourceError: the file that `data.path` names cannot be read.
        DownloadFailed: the data set cannot be had now.
    """
    data = context.use_case.data
    with context.connect() as conn:
        if count_feedback(conn, context.use_case.name):
            return None
        if data.dataset is not None:
            return _downloaded(context, conn, data.dataset)
        if data.path is not None:
            try:
                return ingest_file(conn, context.use_case, Path(data.path), rows=data.rows)
            except SourceError as error:
                raise SourceError(f"`data.path`: {error}") from error
    return None


def _downloaded(context: LoopContext, conn: psycopg.Connection[Any], dataset: str) -> IngestReport:
    """Store a data set by its name; that it could not be had is noted for what starts by itself."""
    home = context.settings.home
    try:
        report = ingest_dataset(conn, context.use_case, dataset, rows=context.use_case.data.rows)
    except DownloadFailed as error:
        note_failed(home, dataset, str(error))
        raise
    forget_failed(home, dataset)
    return report


def settle(context: LoopContext) -> list[str]:
    """Finish or abandon what an earlier run left half-done."""
    with context.connect() as conn:
        return reconcile(conn, context.aliases, context.use_case.name)


def retrain_decision(context: LoopContext) -> RetrainDecision:
    """Whether a retrain is due now."""
    with context.connect() as conn:
        return decide_now(conn, context.aliases, context.use_case)


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
    use_case, home = context.use_case, context.settings.home
    plan = plan_run(use_case, held.kind, held.options, production)
    newest = newest_wanted(plan.all, count=held.options.sample_count)
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


def labels_left_out(
    context: LoopContext, production: Production, snapshot: Snapshot, *, who: str = "production"
) -> str | None:
    """Why no challenger can be held against production: rows of classes that only it knows were left out.

    Args:
        who: what it is; a link is asked about in the same way.
    """
    classes, predictor = context.use_case.target.classes, production.predictor
    rows = sum(reason.rows for reason in snapshot.left_out if reason.rule.startswith("label: "))
    gone = [name for name in (() if predictor is None else predictor.classes) if name not in classes]
    if not (classes and gone and rows):
        return None
    return (
        f"{who} answers {', '.join(map(repr, gone[:5]))}, which the configuration no longer has, and "
        f"{rows:,} stored rows were left out for their labels: nothing is promoted until they are mapped or "
        f"moved; `ratchet relabel {context.use_case.name} --map OLD=NEW` (or --drop or --set-aside OLD)"
    )


def refused(context: LoopContext) -> list[str]:
    """How many rows are in quarantine, and why; nothing where there are none."""
    with context.connect() as conn:
        described = describe_quarantine(conn, context.use_case.name)
    return [] if described is None else [described]
