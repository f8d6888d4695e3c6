"""Have recent records, production's answers to them or their labels moved from what production learned?

The step of the loop: beside `flows.drift.sides`, which says what is held against what, and
`models.drift.judging` and `answers`, which compare.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np

from configs.schema import UseCase
from features.encoders.contract import Encoder, row_count
from features.pretrained.keeping import vectors_kept
from features.records.contract import CheckedRecords, Columns, RecordContract, take
from features.records.stored_records import check_stored
from flows.context import LoopContext
from flows.drift.repeating import SEEN, seen_now
from flows.drift.sides import (
    MOST_ANSWERED,
    Learned,
    believable_labels,
    first_learned,
    read_learned,
    separator_of,
)
from models.drift.answers import describe_answers, describe_labels, judge_labelled
from models.drift.decision import DriftDecision
from models.drift.drawn import DrawnRows, no_rows
from models.drift.findings import DriftFindings
from models.drift.judging import compare
from models.drift.page import Sheet
from models.errors import ArtifactError, CannotLoadNow
from models.production.artifact_digests import vouched_artifact
from models.production.incumbent import find_incumbent
from models.production.tags import VERSION_TAG
from models.versions.artifact import file_digest, read_encoder, read_manifest, read_use_case
from models.versions.predictor import Predictor
from store.drift.checks import KeptPage, RecentLabels, keep_page, recent_labels, recent_records, record_check
from store.errors import SnapshotError
from store.snapshots.index import find_snapshot
from store.snapshots.reach import Reach, find_reach

# What MLflow does not allow in the name of a metric.
METRIC_NAME = re.compile(r"[^\w\-. /]")
PARTS = {"answers": "answers: ", "labels": "labels: "}
"""What is set before the columns of a part beside the data."""

log = logging.getLogger("ratchet.drift")

Compared = tuple[DriftDecision, DrawnRows]


@dataclass(frozen=True)
class DriftReport:
    """What was found and Evidently's page that shows why."""

    findings: DriftFindings
    html: Path | None
    model_version: int
    check_id: int
    """Its row in the database."""

    @property
    def decision(self) -> DriftDecision:
        """What was decided of the data."""
        return self.findings.data


def check_use_case(context: LoopContext, workdir: Path) -> DriftReport | None:
    """Compare the newest records, whenever they came, with the others that production learned from.

    Returns:
        The report, already stored; None when there is no production to compare with.
    """
    use_case, registry = context.use_case, context.registry
    with context.connect() as conn:
        incumbent = find_incumbent(conn, registry, use_case.name)
        if incumbent is None:
            return None
        number = incumbent.version
        seen = seen_now(conn, use_case, number)  # before anything is read: what comes meanwhile is new
        artifact = vouched_artifact(conn, registry, use_case.name, number, context.model_cache, actor="drift")
        # What was asked of production, and what it learned from, is as its own configuration had it.
        contract = RecordContract(read_use_case(artifact).record)
        digest = read_manifest(artifact).lineage.snapshot_digest
        if digest is None:
            raise SnapshotError(f"version {number} of '{use_case.name}' does not say what it learned from")
        snapshot = find_snapshot(conn, digest)
        first = first_learned(conn, use_case.name, snapshot)
        reach = find_reach(conn, [first.digest]) or Reach(0)
        arrivals: dict[str, Any] = {
            "limit": use_case.drift.current_rows,
            "since_seq": reach.last,
            "late": sorted(reach.late),
        }
        records = recent_records(conn, use_case.name, since=None, **arrivals)
        recent = recent_labels(conn, use_case.name, **arrivals)
        current = check_stored(contract, [record for record, _ in records])
        unread = _unread(current, len(records))
        if unread is not None:
            log.warning("%s", unread)
        labelled = np.array([seq for _, seq in records], dtype=np.int64)
        looked_at = np.union1d(labelled[labelled > 0], recent.seq)
        learned = read_learned(context, conn, snapshot, contract, looked_at)
        labels = believable_labels(context, conn, recent)
        with vectors_kept(context.settings.home, drives_out=False):
            answers = judge_answers(use_case, artifact, learned, current.columns)
        compared = {"answers": answers, "labels": judge_labels(use_case, learned, *labels)}
        findings, html = _judge(use_case, artifact, learned, current.columns, compared, workdir)
        if unread is not None:
            told = replace(findings.data, reason=f"{findings.data.reason}; {unread}")
            findings = replace(findings, data=told)
        check_id = record_check(
            conn,
            use_case.name,
            verdict=findings.verdict,
            share=findings.data.share,
            report=findings.as_dict() | {SEEN: seen},
            model_version=number,
        )
        conn.commit()
    return DriftReport(findings, html, number, check_id)


def _unread(checked: CheckedRecords, count: int) -> str | None:
    """How many of so many recent records nothing is compared of, as production refuses them, and why."""
    left_out = count - len(checked.rows)
    if not left_out:
        return None
    return (
        f"{left_out} of {count} recent records are none that production can read, and are not compared "
        f"({checked.problems[0].message})"
    )


def _judge(
    use_case: UseCase,
    artifact: Path,
    learned: Learned,
    current: Columns,
    compared: Mapping[str, Compared],
    workdir: Path,
) -> tuple[DriftFindings, Path | None]:
    encoder: Encoder = read_encoder(artifact, read_manifest(artifact).kind)
    data, html = compare(
        use_case.drift,
        *encoder.summarise_both(learned.records, current),
        html=workdir / "drift.html",
        seed=use_case.training.seed,
        dates=[field.name for field in use_case.record.fields if field.type == "datetime"],
        parts=learned.parts,
        beside=[Sheet(*compared[name], title=title) for name, title in PARTS.items()],
    )
    decisions = {name: decision for name, (decision, _) in compared.items()}
    return DriftFindings(data, **decisions, retrain_on=use_case.drift.retrain_on), html


def judge_answers(use_case: UseCase, artifact: Path, learned: Learned, current: Columns) -> Compared:
    """What production says of recent records, against what it says of those that were held out from it.

    It is asked about both now, whoever answered when they came: an earlier version, or another link of its
    chain.
    """
    config, held_out = use_case.drift, learned.held_out
    before, now = (0 if one is None else row_count(one) for one in (held_out, current))
    try:
        predictor = None if min(before, now) < config.min_rows else Predictor.load(artifact)
    except (ArtifactError, CannotLoadNow) as error:
        return _uncompared(use_case, f"production cannot be asked here: {error}")
    if predictor is None or held_out is None:
        return _too_few(use_case, before, now, learned.why_not)
    random = np.random.default_rng(use_case.training.seed)
    drawn = np.sort(random.permutation(before)[:MOST_ANSWERED])
    newest = np.arange(now)[-MOST_ANSWERED:]
    reference, recent = (
        describe_answers(predictor.predict(take(columns, index)))
        for columns, index in ((held_out, drawn), (current, newest))
    )
    return judge_labelled(config, reference, recent, seed=use_case.training.seed)


def judge_labels(use_case: UseCase, learned: Learned, recent: RecentLabels, doubt: str | None) -> Compared:
    """Recent labels against all of production's snapshot.

    Args:
        doubt: what shows that labels were chosen that are not among these.
    """
    if min(learned.rows, len(recent)) < use_case.drift.min_rows:
        return _too_few(use_case, learned.rows, len(recent), doubt or "")
    separator = separator_of(use_case)
    before, now = (describe_labels(list(one), separator) for one in (learned.labels, recent.labels))
    decision, drawn = judge_labelled(
        use_case.drift, before, now, seed=use_case.training.seed, learned=learned.all_labels
    )
    if doubt is None:
        return decision, drawn
    kept = f"{doubt}; compared are {len(recent)} that nobody can have chosen"
    return replace(decision, reason=f"{decision.reason}; {kept}"), drawn


def _too_few(use_case: UseCase, before: int, now: int, why: str) -> Compared:
    counts = f"{now} recent and {before} reference rows; {use_case.drift.min_rows} of each are needed"
    return _uncompared(use_case, f"{counts}; {why}" if why else counts, before, now)


def _uncompared(use_case: UseCase, reason: str, before: int = 0, now: int = 0) -> Compared:
    threshold = use_case.drift.answers_threshold
    decision = DriftDecision("too_little_evidence", None, 0.0, threshold, {}, before, now, reason)
    return decision, no_rows()


def log_drift(context: LoopContext, report: DriftReport) -> str | None:
    """Keep the numbers and Evidently's page as an MLflow run of the experiment `<use case>-drift`.

    Returns:
        Address of the page in MLflow, if there is one.
    """
    if report.html is None:
        return None
    uri, findings = context.settings.mlflow_uri, report.findings
    mlflow.set_tracking_uri(uri)
    experiment = mlflow.set_experiment(f"{context.use_case.name}-drift")
    with mlflow.start_run(run_name=findings.verdict) as run:
        mlflow.set_tag(VERSION_TAG, report.model_version)
        mlflow.set_tags({f"ratchet.drift.{name}": one.verdict for name, one in findings.parts.items()})
        values = {
            f"drift_{PARTS.get(part, '')}{name}": column.value
            for part, one in findings.parts.items()
            for name, column in one.columns.items()
        }
        mlflow.log_metrics({METRIC_NAME.sub("_", name): value for name, value in values.items()})
        if findings.data.share is not None:
            mlflow.log_metric("drift_share", findings.data.share)
        mlflow.log_dict(findings.as_dict(), "drift.json")
        mlflow.log_artifact(str(report.html))
    with context.connect() as conn:
        keep_page(conn, report.check_id, KeptPage(run.info.run_id, file_digest(report.html)))
        conn.commit()
    return f"{uri}/#/experiments/{experiment.experiment_id}/runs/{run.info.run_id}/artifacts"
