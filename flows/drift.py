"""Have the records seen lately drifted from those production learned from?

Evidently measures, `models.retraining.drift.decide_drift` decides. Evidently gets a bounded number of rows
(its cost grows with rows times columns), and its methods are pinned (its defaults change at 1,000 rows).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import psycopg

from configs.schema import DriftConfig
from features.records.contract import Columns, RecordContract
from flows.context import LoopContext
from models.production.incumbent import find_incumbent
from models.production.tags import VERSION_TAG
from models.production.vouching import vouched_artifact
from models.retraining.drift import DriftDecision, decide_drift
from models.versions.artifact import read_encoder, read_manifest
from store.drift.checks import keep_page, recent_records, record_check
from store.drift.page import sanitise_page
from store.errors import SnapshotError
from store.feedback.rows import read_feedback
from store.snapshots.index import Snapshot, find_snapshot
from store.snapshots.restoring import open_snapshot

# What MLflow does not allow in the name of a metric.
METRIC_NAME = re.compile(r"[^\w\-. /]")
# A distance between fewer values than this says nothing.
MIN_VALUES = 20

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
    contract = RecordContract(use_case.record)
    with context.connect() as conn:
        incumbent = find_incumbent(conn, registry, use_case.name)
        if incumbent is None:
            return None
        number = incumbent.version
        artifact = vouched_artifact(conn, registry, use_case.name, number, context.model_cache, actor="drift")
        manifest = read_manifest(artifact)
        encoder = read_encoder(artifact, manifest.kind)
        digest = manifest.lineage.snapshot_digest
        if digest is None:
            raise SnapshotError(f"version {number} of '{use_case.name}' does not say what it learned from")
        snapshot = find_snapshot(conn, digest)
        records = recent_records(
            conn, use_case.name, since=snapshot.created_at, limit=use_case.drift.current_rows
        )
        reference = _reference(context, conn, snapshot)
        decision, html = compare(
            use_case.drift,
            encoder.summarise(reference),
            encoder.summarise(contract.from_json(records)),
            html=workdir / "drift.html",
            seed=use_case.training.seed,
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


def _reference(context: LoopContext, conn: psycopg.Connection[Any], snapshot: Snapshot) -> Columns:
    """What production learned from; if that cannot be had any more, all rows that had come by then."""
    use_case = context.use_case
    try:
        return open_snapshot(conn, use_case, context.settings.home, snapshot.digest).train.columns
    except SnapshotError as error:
        log.warning("%s; compared with all rows that had come by then", error)
        contract = RecordContract(use_case.record)
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
        keep_page(conn, report.check_id, run.info.run_id)
        conn.commit()
    return f"{uri}/#/experiments/{experiment.experiment_id}/runs/{run.info.run_id}/artifacts"


def compare(
    config: DriftConfig, reference: pd.DataFrame, current: pd.DataFrame, *, html: Path, seed: int
) -> tuple[DriftDecision, Path | None]:
    """Compare two frames of the same columns and write Evidently's report to `html`.

    The frames come from an encoder's `summarise`: object columns are categories, others numbers.
    At most `config.reference_rows` and `config.current_rows` are compared: a sample of the
    reference, the last rows of the current ones.
    """
    if len(reference) > config.reference_rows:
        reference = reference.sample(config.reference_rows, random_state=seed)
    reference, current = _marked(reference), _marked(current.tail(config.current_rows))
    enough = min(len(reference), len(current)) >= config.min_rows
    usable = [name for name in reference.columns if _comparable(reference[name], current[name])]
    measured = _measure(config, reference[usable], current[usable], html) if enough and usable else {}
    decision = decide_drift(config, measured, reference_rows=len(reference), current_rows=len(current))
    return decision, html if measured else None


def _measure(
    config: DriftConfig, reference: pd.DataFrame, current: pd.DataFrame, html: Path
) -> Mapping[str, tuple[str, float]]:
    # Evidently takes seconds to import: only where it is used.
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    categorical = _categorical(reference)
    numeric = [name for name in reference.columns if name not in categorical]
    definition = DataDefinition(numerical_columns=numeric, categorical_columns=categorical)
    preset = DataDriftPreset(
        num_method=config.numeric_method,
        cat_method=config.categorical_method,
        num_threshold=config.threshold,
        cat_threshold=config.threshold,
        drift_share=config.share,
    )
    # It also correlates columns, which one that never changes does not allow.
    with np.errstate(invalid="ignore", divide="ignore"):
        result = Report([preset]).run(
            reference_data=Dataset.from_pandas(reference, data_definition=definition),
            current_data=Dataset.from_pandas(current, data_definition=definition),
        )
    html.parent.mkdir(parents=True, exist_ok=True)
    html.write_text(sanitise_page(result.get_html_str(as_iframe=False)), encoding="utf-8")
    per_column = [metric["config"] | {"value": metric["value"]} for metric in result.dict()["metrics"]]
    return {
        metric["column"]: (metric["method"], float(metric["value"]))
        for metric in per_column
        if "column" in metric and np.isfinite(metric["value"])
    }


def _marked(frame: pd.DataFrame) -> pd.DataFrame:
    """Missing categories as a category of their own: to go missing is to drift."""
    categorical = _categorical(frame)
    return frame.assign(**{name: frame[name].fillna("(missing)") for name in categorical})


def _categorical(frame: pd.DataFrame) -> list[str]:
    return [name for name in frame.columns if frame[name].dtype == object]


def _comparable(reference: pd.Series, current: pd.Series) -> bool:
    return bool(min(reference.notna().sum(), current.notna().sum()) >= MIN_VALUES)
