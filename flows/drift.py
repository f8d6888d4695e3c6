"""Have the records seen lately drifted from those production learned from?

The step of the loop: beside `models.retraining.drift_columns`, which prepares, `drift_distances` and
`drift_certainty` measure, `drift_decision` decides and `drift_page` draws.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import psycopg

from configs.schema import DriftConfig
from features.records.contract import Columns, RecordContract
from features.records.stored_records import check_stored
from flows.context import LoopContext
from models.production.artifact_digests import vouched_artifact
from models.production.incumbent import find_incumbent
from models.production.tags import VERSION_TAG
from models.retraining.drift_certainty import column_p_values
from models.retraining.drift_columns import ComparableColumns, prepare_columns
from models.retraining.drift_decision import DriftDecision, decide_drift
from models.retraining.drift_distances import measure_distances
from models.retraining.drift_page import draw_page
from models.retraining.drift_remarks import remark_on
from models.versions.artifact import file_digest, read_encoder, read_manifest, read_use_case
from store.drift.checks import KeptPage, keep_page, recent_records, record_check
from store.errors import SnapshotError
from store.feedback.rows import read_feedback
from store.snapshots.index import Snapshot, find_snapshot
from store.snapshots.reach import Reach, find_reach
from store.snapshots.restoring import open_snapshot

# What MLflow does not allow in the name of a metric.
METRIC_NAME = re.compile(r"[^\w\-. /]")

log = logging.getLogger("ratchet.drift")


@dataclass(frozen=True)
class DriftReport:
    """The decision and Evidently's page that shows why."""

    decision: DriftDecision
    html: Path | None
    model_version: int
    check_id: int
    """Its row in the database."""


def check_use_case(context: LoopContext, workdir: Path) -> DriftReport | None:
    """Compare what was seen since production's snapshot with what production learned from.

    Returns:
        The report, already stored; None when there is no production to compare with.
    """
    use_case, registry = context.use_case, context.registry
    with context.connect() as conn:
        incumbent = find_incumbent(conn, registry, use_case.name)
        if incumbent is None:
            return None
        number = incumbent.version
        artifact = vouched_artifact(conn, registry, use_case.name, number, context.model_cache, actor="drift")
        manifest = read_manifest(artifact)
        encoder = read_encoder(artifact, manifest.kind)
        # What was asked of production, and what it learned from, is as its own configuration had it.
        contract = RecordContract(read_use_case(artifact).record)
        digest = manifest.lineage.snapshot_digest
        if digest is None:
            raise SnapshotError(f"version {number} of '{use_case.name}' does not say what it learned from")
        snapshot = find_snapshot(conn, digest)
        reach = find_reach(conn, [digest]) or Reach(0)
        records = recent_records(
            conn,
            use_case.name,
            since=snapshot.created_at,
            limit=use_case.drift.current_rows,
            labels_since=snapshot.settled_at or snapshot.created_at,
            since_seq=reach.last,
            late=sorted(reach.late),
        )
        current = check_stored(contract, records)
        if left_out := len(records) - len(current.rows):
            log.warning("%d of %d recent records are none that production can read", left_out, len(records))
        reference = _reference(context, conn, snapshot, contract)
        decision, html = compare(
            use_case.drift,
            encoder.summarise(reference),
            encoder.summarise(current.columns),
            html=workdir / "drift.html",
            seed=use_case.training.seed,
            dates=[field.name for field in use_case.record.fields if field.type == "datetime"],
        )
        check_id = record_check(
            conn,
            use_case.name,
            verdict=decision.verdict,
            share=decision.share,
            report=decision.as_dict(),
            model_version=number,
        )
        conn.commit()
    return DriftReport(decision, html, number, check_id)


def _reference(
    context: LoopContext, conn: psycopg.Connection[Any], snapshot: Snapshot, contract: RecordContract
) -> Columns:
    """What production learned from; if that cannot be had any more, all rows that had come by then."""
    use_case = context.use_case
    try:
        return open_snapshot(conn, use_case, context.settings.home, snapshot.digest).train.columns
    except SnapshotError as error:
        log.warning("%s; compared with all rows that had come by then", error)
        return read_feedback(conn, use_case.name, contract, until_seq=snapshot.last_seq).columns


def log_drift(context: LoopContext, report: DriftReport) -> str | None:
    """Keep the numbers and Evidently's page as an MLflow run of the experiment `<use case>-drift`.

    Returns:
        Address of the page in MLflow, if there is one.
    """
    if report.html is None:
        return None
    uri = context.settings.mlflow_uri
    mlflow.set_tracking_uri(uri)
    experiment = mlflow.set_experiment(f"{context.use_case.name}-drift")
    with mlflow.start_run(run_name=report.decision.verdict) as run:
        mlflow.set_tag(VERSION_TAG, report.model_version)
        moved = {f"drift_{name}": column.value for name, column in report.decision.columns.items()}
        mlflow.log_metrics({METRIC_NAME.sub("_", name): value for name, value in moved.items()})
        if report.decision.share is not None:
            mlflow.log_metric("drift_share", report.decision.share)
        mlflow.log_dict(report.decision.as_dict(), "drift.json")
        mlflow.log_artifact(str(report.html))
    with context.connect() as conn:
        keep_page(conn, report.check_id, KeptPage(run.info.run_id, file_digest(report.html)))
        conn.commit()
    return f"{uri}/#/experiments/{experiment.experiment_id}/runs/{run.info.run_id}/artifacts"


def compare(
    config: DriftConfig,
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    html: Path,
    seed: int,
    dates: Collection[str] = (),
) -> tuple[DriftDecision, Path | None]:
    """Compare two frames of the same columns, oldest rows first, and write Evidently's report to `html`.

    Args:
        dates: fields that are dates.
    """
    decision, columns = judge_frames(config, reference, current, seed=seed, dates=dates)
    drawn = [name for name in columns.reference.columns if name in decision.columns]
    if not drawn:
        return decision, None
    draw_page(config, decision, columns.reference[drawn], columns.current[drawn], html)
    return decision, html


def judge_frames(
    config: DriftConfig,
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    seed: int,
    dates: Collection[str] = (),
) -> tuple[DriftDecision, ComparableColumns]:
    """The decision, and the columns that it was made of.

    At most `config.reference_rows` and `config.current_rows` are compared: a sample of the
    reference, the last rows of the current ones.
    """
    if len(reference) > config.reference_rows:
        reference = reference.sample(config.reference_rows, random_state=seed).sort_index()
    current = current.tail(config.current_rows)
    decide = partial(decide_drift, config, reference_rows=len(reference), current_rows=len(current))
    if min(len(reference), len(current)) < config.min_rows:
        return decide({}, {}), ComparableColumns(pd.DataFrame(), pd.DataFrame(), {}, {})
    columns = prepare_columns(reference, current, ignore=config.ignore, dates=dates)
    distances = measure_distances(config, columns.reference, columns.current)
    kept = list(distances)
    p_values = column_p_values(reference[kept], current[kept])
    unmeasured = dict.fromkeys(
        set(columns.reference.columns) - set(distances), "no distance could be measured"
    )
    left_out = {**columns.left_out, **unmeasured}
    remarks = remark_on(reference[kept], current[kept])
    return decide(distances, p_values, gone=columns.gone, left_out=left_out, remarks=remarks), columns
