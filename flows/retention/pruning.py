"""The one place that deletes what is old: `prune`, by a command, after a retrain or a drift check that had
something to do, and daily.

Everything is deleted in small steps that are each whole, so a kill at any point leaves nothing half-deleted,
and the next call goes on. What needs no registry goes first, for MLflow may be away.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from configs.security.printable import one_line
from flows.context import LoopContext
from flows.retention import files, history, mlflow_runs, predictions, snapshots
from flows.retention.versions import needed_versions, prunable, prune_versions
from models.errors import ModelError
from models.production.contract import Version
from models.production.incumbent import last_production
from models.production.registry_rest import has_more_runs, open_registry
from models.shadows.copies import copies_of_others
from store.database.connection import tool_url
from store.database.sessions import let_go, session_url, try_keep_lock
from store.drift.checks import forget_page
from store.errors import StoreError
from store.notices import KEPT_DAYS
from store.retention import (
    DRIFT_CHECKS,
    IDEMPOTENCY,
    NOTICES,
    PREDICTIONS,
    QUARANTINE,
    RUNS,
    SHADOW_ANSWERS,
    Rows,
    count_rows,
    delete_rows,
)
from store.runs.events import prune_events
from store.runs.rows import running
from store.shadows import StoredShadow, kept_shadows
from store.snapshots.files import snapshot_file

log = logging.getLogger("ratchet.retention")


@dataclass(frozen=True)
class Removal:
    """What was deleted, or would be."""

    what: str
    count: int
    size: int | None = None
    """Bytes, of files."""


@dataclass(frozen=True)
class _Pruning:
    context: LoopContext
    conn: psycopg.Connection[Any]
    now: datetime
    dry_run: bool

    @property
    def name(self) -> str:
        return self.context.use_case.name

    def scored(self) -> list[StoredShadow]:
        """Challengers that the next retrain asks."""
        return kept_shadows(self.conn, self.name, self.context.use_case.gate.shadows.keep)

    def rows(self, rows: Rows, days: float | None, versions: Sequence[int] = ()) -> Removal:
        if days is None:
            return Removal(rows.what, 0)
        act = count_rows if self.dry_run else delete_rows
        return Removal(rows.what, act(self.conn, rows, self.name, self.now - timedelta(days=days), versions))

    def paths(
        self, what: str, paths: Sequence[Path], remove: Callable[[Path], None] = files.remove
    ) -> Removal:
        size = sum(files.weigh(path) for path in paths)
        for path in () if self.dry_run else paths:
            remove(path)
        return Removal(what, len(paths), size)


def prune(context: LoopContext, *, now: datetime, dry_run: bool = False) -> list[Removal] | None:
    """Delete what the use case's `retention` does not keep; what there was none of is left out.

    Args:
        now: the time by which things are old.
        dry_run: say what would be deleted, and delete nothing.

    Returns:
        What was deleted; None: another process is at it.

    Raises:
        RegistryUnavailable: MLflow is away; what does not need it has been deleted.
        StoreError: a table or the storage cannot be used; what needs neither has been deleted.
    """
    with context.connect() as conn, _alone(conn, context.use_case.name) as alone:
        if not alone:
            return None
        pruning = _Pruning(context, conn, now, dry_run)
        removals: list[Removal] = []
        troubles: list[ModelError | StoreError] = []
        for part in (_without_registry, _predictions_in_tables, _by_registry):
            try:
                removals += part(pruning)
            except (ModelError, StoreError) as error:  # what needs none of that goes all the same
                conn.rollback()
                troubles.append(error)
    for more in troubles[1:]:
        log.warning("what is old stays for now: %s", one_line(str(more)))
    if troubles:
        raise troubles[0]
    return [removal for removal in removals if removal.count]


def _without_registry(pruning: _Pruning) -> Iterator[Removal]:
    retention, home, now = pruning.context.use_case.retention, pruning.context.settings.home, pruning.now
    yield pruning.rows(PREDICTIONS, retention.prediction_days)
    yield pruning.rows(SHADOW_ANSWERS, retention.prediction_days)
    yield pruning.rows(QUARANTINE, retention.quarantine_days)
    yield pruning.rows(IDEMPOTENCY, retention.idempotency_days)
    yield pruning.rows(DRIFT_CHECKS, retention.drift_check_days)
    yield pruning.rows(NOTICES, KEPT_DAYS)
    if not pruning.dry_run:
        yield Removal("events of runs", prune_events(pruning.conn, pruning.name))
        pruning.conn.commit()
    for kind, days in (("done", retention.inbox_done_days), ("refused", retention.inbox_refused_days)):
        if days is not None:
            old = files.old_inbox_files(home, pruning.name, kind, now - timedelta(days=days))
            yield pruning.paths(f"files of the inbox, {kind}", old)
    if not running(pruning.conn, pruning.name):
        kept = {shadow.number for shadow in pruning.scored()}
        yield pruning.paths("copies of challengers", copies_of_others(home, pruning.name, kept))
    yield pruning.paths("left by killed processes", files.left_behind(home, pruning.name, now))


def _predictions_in_tables(pruning: _Pruning) -> Iterator[Removal]:
    """Move old predictions out of the database, and forget those in tables that are older still."""
    use_case, retention = pruning.context.use_case, pruning.context.use_case.retention
    moves = predictions.Moves(pruning.conn, pruning.context.settings.home, use_case, pruning.dry_run)
    moved = forgotten = 0
    if retention.prediction_database_days is not None:
        before = pruning.now - timedelta(days=retention.prediction_database_days)
        moved = moves.move(before)
        yield Removal("predictions in the database, now in a table", moved)
    if retention.prediction_days is not None:
        before = pruning.now - timedelta(days=retention.prediction_days)
        forgotten = moves.forget(before)
        yield Removal("predictions in tables without a label", forgotten)
    if moved or forgotten:  # once a day; files that tables had before go with the next one's
        moves.clean()


def _by_registry(pruning: _Pruning) -> Iterator[Removal]:
    context, conn = pruning.context, pruning.conn
    retention, registry = context.use_case.retention, open_registry(context.settings.mlflow_uri)
    listed = registry.versions(pruning.name)
    yield Removal("versions", len(gone := _prune_versions(pruning, listed)))
    if gone and not pruning.dry_run:
        listed = registry.versions(pruning.name)
    production = last_production(conn, pruning.name)
    kept = {version.version for version in listed} | ({production} if production is not None else set())
    yield pruning.rows(RUNS, retention.run_days, sorted(kept))
    if not running(conn, pruning.name):  # which may take an old snapshot again, or fetch a version
        yield from _snapshots(pruning, kept, {version.version: version.tags for version in listed})
        copies = files.copies_without_version(context.settings.home, pruning.name, kept)
        yield pruning.paths("copies of versions", copies)
    named = {version.run_id for version in listed}
    scored = [one.model_uri for one in pruning.scored()]
    yield _mlflow_runs(pruning, "MLflow runs", pruning.name, retention.mlflow_runs, named, scored)
    yield _mlflow_runs(pruning, "drift pages", f"{pruning.name}-drift", retention.drift_pages)


def _prune_versions(pruning: _Pruning, listed: Sequence[Version]) -> Sequence[int]:
    use_case = pruning.context.use_case
    needed = needed_versions(pruning.conn, use_case)
    old = [one.version for one in prunable(listed, use_case.retrain.keep_versions, needed)]
    return prune_versions(pruning.context) if old and not pruning.dry_run else old


def _snapshots(
    pruning: _Pruning, kept: Iterable[int], tags: Mapping[int, Mapping[str, str]]
) -> Iterator[Removal]:
    context, conn = pruning.context, pruning.conn
    needed = snapshots.needed_snapshots(conn, context, kept, tags)
    old = snapshots.old_snapshots(
        conn, context.settings.home, pruning.name, context.use_case.retention.snapshots, needed
    )
    path = partial(snapshot_file, context.settings.home, pruning.name)
    yield pruning.paths(
        "snapshots",
        [path(digest) for digest in old],
        lambda file: snapshots.forget_snapshot(conn, context, file.stem),
    )
    unneeded = history.find_unneeded(conn, context, pruning.now)
    if not pruning.dry_run:
        history.forget(unneeded, context)
        history.clean(conn, context)
    yield Removal("rows of no snapshot", unneeded.rows)
    yield Removal("history tables", len(unneeded.tables))


def _mlflow_runs(
    pruning: _Pruning,
    what: str,
    experiment: str,
    keep: int,
    named: Collection[str] = (),
    models: Iterable[str] = (),
) -> Removal:
    """Delete the old runs of an experiment, but those named and those that logged one of the models."""
    settings = pruning.context.settings
    if not has_more_runs(settings.mlflow_uri, experiment, keep):
        return Removal(what, 0)
    from mlflow import MlflowClient  # slow, and mostly nothing is old

    from models.production.registry import translated

    with translated(settings.mlflow_uri):
        client = MlflowClient(settings.mlflow_uri, registry_uri=settings.mlflow_uri)
        kept = {*named, *mlflow_runs.runs_of_models(client, models)}
        old = mlflow_runs.old_runs(client, experiment, keep, kept)
        if old and not pruning.dry_run:
            own = tool_url(session_url(settings), "mlflow") if settings.starts_mlflow else None
            forget = mlflow_runs.make_forget(own)
            for run in old:
                forget_page(pruning.conn, run.info.run_id)
                pruning.conn.commit()
                mlflow_runs.delete_run(client, settings.mlflow_uri, run, forget)
    return Removal(what, len(old))


@contextmanager
def _alone(conn: psycopg.Connection[Any], use_case: str) -> Iterator[bool]:
    """Whether no other process prunes this use case; none does until the end."""
    keeper = try_keep_lock(conn, "pruning", use_case)
    try:
        yield keeper is not None
    finally:
        if keeper is not None:
            if not conn.closed:
                conn.rollback()
            let_go(conn, keeper, "pruning", use_case)
