"""The steps of a retrain, as plain functions; `flows.loop` makes Prefect tasks of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from subprocess import CalledProcessError, run
from typing import Any, Literal

from configs.settings import CHECKOUT
from features.feedback import count_feedback
from features.ingest import IngestReport, ingest_dataset, ingest_file
from features.snapshots import Frame, Snapshot, find_snapshot, take_snapshot
from flows.context import LoopContext
from flows.gate import Judgement, judge_challengers
from flows.lineage import FIT_TAG, PARENT_TAG, SNAPSHOT_TAG, learned_identities
from flows.promote import note_verdict, promote, reconcile
from flows.running import HeldRun
from flows.tracking import Evidence, Logged, log_challenger
from flows.train import Trained, train_challenger
from models.artifact import Lineage
from models.decisions import GateDecision, best
from models.errors import ArtifactError, ModelError, ProbeError, TrainingStopped
from models.metrics import confusion
from models.predictor import Predictor
from models.registry import Version, keep_in_cache

Outcome = Literal["promoted", "rejected", "too_little_evidence", "skipped"]


@dataclass(frozen=True)
class Production:
    """What challengers are up against."""

    version: Version | None
    artifact: Path | None
    predictor: Predictor | None
    error: str | None
    """Why it cannot answer, when it exists and cannot."""
    learned: frozenset[str]
    """Identities of the rows that it has learned from."""
    last_seq: int | None
    """Newest feedback in its snapshot."""

    @property
    def number(self) -> int | None:
        """Its version number."""
        return None if self.version is None else self.version.version


@dataclass(frozen=True)
class RetrainResult:
    """What a retrain came to."""

    use_case: str
    run_id: str
    outcome: Outcome
    reason: str
    version: int | None
    production_before: int | None
    challenger: str | None
    decisions: Mapping[str, Mapping[str, Any]]
    scores: Mapping[str, Mapping[str, float]]
    production_scores: Mapping[str, float] | None
    failures: Mapping[str, str]
    """Challengers that could not be made, and why."""
    snapshot: str | None
    train_rows: int
    holdout_rows: int
    steps: Mapping[str, float]
    """Seconds of each step."""

    def as_dict(self) -> dict[str, Any]:
        """The result as plain values, for JSON."""
        return asdict(self)


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


def find_production(context: LoopContext) -> Production:
    """Load production as a server would.

    Raises:
        RegistryUnavailable: MLflow does not answer; that says nothing of production.
    """
    registry, name = context.registry, context.use_case.name
    number = registry.alias_version(name, "production")
    if number is None:
        return Production(None, None, None, None, frozenset(), None)
    version = registry.version(name, number)
    with context.connect() as conn:
        learned = learned_identities(conn, registry, version)
        digest = version.tags.get(SNAPSHOT_TAG)
        last_seq = None if digest is None else find_snapshot(conn, digest).last_seq
    try:
        artifact = registry.download(name, number, context.model_cache)
        predictor = Predictor.load(artifact)
        predictor.check_probe()
    except (ArtifactError, ProbeError) as error:
        return Production(version, None, None, str(error), learned, last_seq)
    return Production(version, artifact, predictor, None, learned, last_seq)


def snapshot_rows(context: LoopContext, production: Production) -> Snapshot:
    """Freeze the feedback, split into training and held-out rows."""
    with context.connect() as conn:
        return take_snapshot(
            conn,
            context.use_case,
            context.settings.home,
            since_seq=production.last_seq,
            learned=production.learned,
        )


def not_enough(context: LoopContext, snapshot: Snapshot) -> str | None:
    """Why nothing can be trained from the snapshot, if so."""
    least = context.use_case.training.min_rows
    if snapshot.train_rows < least:
        return f"{snapshot.train_rows} rows to learn from; training needs {least}"
    if snapshot.holdout_rows == 0:
        return "no row could be held out to judge on"
    return None


def skipped(
    context: LoopContext,
    held: HeldRun,
    production: Production,
    snapshot: Snapshot,
    reason: str,
    seconds: Mapping[str, float],
) -> RetrainResult:
    """The result of a run that found nothing to do."""
    return RetrainResult(
        use_case=context.use_case.name,
        run_id=str(held.run_id),
        outcome="skipped",
        reason=reason,
        version=None,
        production_before=production.number,
        challenger=None,
        decisions={},
        scores={},
        production_scores=None,
        failures={},
        snapshot=snapshot.digest,
        train_rows=snapshot.train_rows,
        holdout_rows=snapshot.holdout_rows,
        steps=dict(seconds),
    )


def train_all(
    context: LoopContext,
    held: HeldRun,
    production: Production,
    snapshot: Snapshot,
    frame: Frame,
    *,
    trigger: str,
    workdir: Path,
) -> tuple[dict[str, Trained], dict[str, str]]:
    """Train every challenger of the configuration.

    Returns:
        Those made, and for the others why not.

    Raises:
        TrainingStopped: somebody asked for it.
        ModelError: not one could be made.
    """
    lineage = Lineage(
        snapshot_digest=snapshot.digest,
        parent_version=production.number,
        trigger=trigger,
        run_id=str(held.run_id),
        code_revision=code_revision(),
    )
    made: dict[str, Trained] = {}
    failed: dict[str, str] = {}
    last: ModelError | None = None
    for challenger in context.use_case.training.challengers:
        try:
            made[challenger.name] = train_challenger(
                context.use_case,
                frame,
                challenger,
                held=held,
                workdir=workdir,
                lineage=lineage,
                parent=production.artifact,
                learned=production.learned,
            )
        except TrainingStopped:
            raise
        except ModelError as error:
            failed[challenger.name] = str(error)
            last = error
    if not made and last is not None:
        raise last
    return made, failed


def judge_all(
    context: LoopContext, held: HeldRun, production: Production, frame: Frame, trained: Mapping[str, Trained]
) -> Judgement:
    """Score challengers and production on the held-out rows."""
    held.ensure_running()
    held.say("gate", rows=len(frame.holdout.labels))
    return judge_challengers(
        context.use_case,
        frame.holdout.columns,
        list(frame.holdout.labels),
        {name: made.predictor for name, made in trained.items()},
        production.predictor,
        production_error=production.error,
    )


def log_all(
    context: LoopContext,
    held: HeldRun,
    snapshot: Snapshot,
    frame: Frame,
    trained: Mapping[str, Trained],
    judgement: Judgement,
) -> dict[str, Logged]:
    """Log every challenger to MLflow."""
    logged = {}
    for name, made in trained.items():
        held.say("log", challenger=name)
        answers = made.predictor.predict(frame.holdout.columns)
        classes, counts = confusion(list(frame.holdout.labels), answers.labels, made.manifest.classes)
        evidence = Evidence(
            artifact=made.artifact,
            manifest=made.manifest,
            curve=made.curve,
            seconds=made.seconds,
            decision=judgement.decisions[name],
            scores=judgement.scores[name],
            production_scores=judgement.production_scores,
            confusion=counts,
            confusion_classes=classes,
        )
        tags = version_tags(made, evidence.decision)
        logged[name] = log_challenger(context.settings.mlflow_uri, context.use_case, snapshot, evidence, tags)
    return logged


def version_tags(made: Trained, decision: GateDecision) -> dict[str, str]:
    """Where a version comes from and what the gate said, as MLflow shows it."""
    lineage = made.manifest.lineage
    tags = {
        SNAPSHOT_TAG: lineage.snapshot_digest,
        PARENT_TAG: None if lineage.parent_version is None else str(lineage.parent_version),
        FIT_TAG: made.manifest.fit,
        "ratchet.challenger": made.name,
        "ratchet.trigger": lineage.trigger,
        "ratchet.run": lineage.run_id,
        "ratchet.revision": lineage.code_revision,
        "ratchet.verdict": decision.verdict,
        "ratchet.outcome": decision.outcome,
        "ratchet.reason": decision.reason,
    }
    return {key: value for key, value in tags.items() if value is not None}


def register_best(
    context: LoopContext, trained: Mapping[str, Trained], judgement: Judgement, logged: Mapping[str, Logged]
) -> tuple[str, int]:
    """Register the challenger to act on and point the alias `challenger` at it."""
    name = best(judgement.decisions)
    tags = version_tags(trained[name], judgement.decisions[name])
    use_case = context.use_case.name
    version = context.registry.register(use_case, logged[name].model_uri, logged[name].run_id, tags)
    context.registry.set_alias(use_case, "challenger", version)
    keep_in_cache(trained[name].artifact, context.model_cache, use_case, version)
    return name, version


def act_on_verdict(
    context: LoopContext,
    held: HeldRun,
    production: Production,
    decision: GateDecision,
    version: int,
    *,
    challenger: str,
    actor: str,
) -> Outcome:
    """Promote, or write down why not."""
    held.ensure_running()
    held.say("promote" if decision.verdict == "promote" else "keep", version=version)
    use_case = context.use_case.name
    with context.connect() as conn:
        reconcile(conn, context.registry, use_case)
        if decision.verdict != "promote":
            note_verdict(
                conn,
                use_case,
                decision=decision,
                production=production.number,
                version=version,
                actor=actor,
                run_id=held.run_id,
                details={"challenger": challenger},
            )
            return "rejected" if decision.verdict == "reject" else "too_little_evidence"
        if context.registry.alias_version(use_case, "production") != version:
            promote(
                conn,
                context.registry,
                use_case,
                version=version,
                decision=decision,
                actor=actor,
                run_id=held.run_id,
                token=held.token,
            )
    return "promoted"


@cache
def code_revision() -> str:
    """Commit of the checkout, with `+changes` when files differ from it."""
    try:
        return _git("rev-parse", "HEAD") + ("+changes" if _git("status", "--porcelain") else "")
    except (OSError, CalledProcessError):
        return "unknown"


def _git(*words: str) -> str:
    answer = run(["git", *words], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    return answer.stdout.strip()
