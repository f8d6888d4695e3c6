"""What becomes of judged challengers: logged, the best one registered, and promoted or not."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import psycopg

from configs.schema import UseCase
from configs.security.umask import copy_for_user
from flows.context import LoopContext
from flows.retrain.held_run import HeldRun
from flows.retrain.judging.judgement import Judgement
from flows.retrain.judging.plain import plain_standing
from flows.retrain.production import Production
from flows.retrain.tracking import Evidence, Logged, log_challenger
from flows.retrain.training.challenger import Trained
from flows.retrain.training.plain import PLAIN
from models.canary.moves import begin_canary
from models.errors import CanaryUnderWay, ProductionMoved, PromotionPaused
from models.gate.class_scores import detail_scores
from models.gate.decision import GateDecision, GateVerdict, best
from models.production import ledger
from models.production.artifact_digests import note_registered
from models.production.promotion import note_verdict, promote, reconcile, told_of
from models.production.tags import (
    CHALLENGER_TAG,
    COMPUTE_TAG,
    OUTCOME_TAG,
    PLAIN_TAG,
    REASON_TAG,
    RECORD_TAG,
    REVISION_TAG,
    RUN_TAG,
    TRIGGER_TAG,
    VERDICT_TAG,
    lineage_tags,
)
from models.versions.artifact import artifact_digest, read_encoder
from models.versions.cache import add_to_cache
from models.versions.fit_checks import count_beyond
from store.snapshots.index import Snapshot

log = logging.getLogger("ratchet.retrain")
Outcome = Literal["promoted", "canary", "rejected", "too_little_evidence", "held_back", "skipped"]
NOT_PROMOTED: Mapping[GateVerdict, Literal["rejected", "too_little_evidence", "held_back"]] = {
    "reject": "rejected",
    "too_little_evidence": "too_little_evidence",
    "hold_back": "held_back",
}
"""Verdict to what the ledger calls it."""


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
    original_scores: Mapping[str, Mapping[str, float]]
    """On what the original version was judged on: all metrics of each challenger, and of `production`."""
    failures: Mapping[str, str]
    """Challengers that could not be made, and why."""
    snapshot: str | None
    train_rows: int
    holdout_rows: int
    steps: Mapping[str, float]
    """Seconds of each step."""
    seen: Mapping[str, Any] = field(default_factory=dict)
    """What it was made of, as a mark, and when: a schedule does not repeat it (`flows.retrain.idle`)."""
    links: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What became of challengers made for links of the chain, by name: `version` where it answers there from
    now on, the one `before`, and the `decision`."""
    left_out_rows: int = 0
    """Stored rows that do not fit the configuration, and so were not learned from."""
    left_out: Sequence[Mapping[str, Any]] = ()
    """Why, by rule and count (`store.quarantine.reasons.RefusedReason`)."""
    warnings: tuple[str, ...] = ()
    """What to know of the rows before the scores are believed, and where a plain model is better."""
    newness: Mapping[str, int] | None = None
    """What was learned from that production had not (`flows.retrain.newness.Newness`); None: not known."""
    compute: str | None = None
    """Where challengers were made, and by how many processes; None: none was."""
    plain: Mapping[str, Any] | None = None
    """How what serves stands beside a plain model (`flows.retrain.judging.plain.PlainStanding`)."""

    def as_dict(self) -> dict[str, Any]:
        """The result as plain values, for JSON."""
        return asdict(self)


def log_all(
    context: LoopContext,
    held: HeldRun,
    snapshot: Snapshot,
    trained: Mapping[str, Trained],
    judgement: Judgement,
) -> dict[str, Logged]:
    """Log every challenger to MLflow, with the answers that it was judged by."""
    logged = {}
    for name, made in trained.items():
        held.say("log", challenger=name)
        answers = judgement.answers
        detail = detail_scores(context.use_case.target, answers.labels, answers.challengers[name])
        evidence = Evidence(
            artifact=made.artifact,
            manifest=made.manifest,
            curve=made.curve,
            seconds=made.seconds,
            decision=judgement.decisions[name],
            scores=judgement.scores[name],
            production_scores=judgement.production_scores,
            original_scores=_original_scores(judgement, name),
            plain_scores=None if name == PLAIN else judgement.scores.get(PLAIN),
            detail=detail,
        )
        tags = version_tags(made, evidence.decision)
        logged[name] = log_challenger(context.settings.mlflow_uri, context.use_case, snapshot, evidence, tags)
    return logged


def _original_scores(judgement: Judgement, challenger: str) -> dict[str, float]:
    scores = judgement.original_scores
    had = {f"production_{name}": value for name, value in scores.get("production", {}).items()}
    return {**scores.get(challenger, {}), **had}


def version_tags(made: Trained, decision: GateDecision) -> dict[str, str]:
    """Where a version comes from and what the gate said, as MLflow shows it."""
    lineage = made.manifest.lineage
    tags = {
        CHALLENGER_TAG: made.name,
        TRIGGER_TAG: lineage.trigger,
        RUN_TAG: lineage.run_id,
        REVISION_TAG: lineage.code_revision,
        COMPUTE_TAG: made.compute,
        VERDICT_TAG: decision.verdict,
        OUTCOME_TAG: decision.outcome,
        REASON_TAG: decision.reason,
        RECORD_TAG: None if decision.record is None else decision.record.shown,
    }
    return lineage_tags(made.manifest) | {key: value for key, value in tags.items() if value is not None}


def register_best(
    context: LoopContext,
    held: HeldRun,
    trained: Mapping[str, Trained],
    judgement: Judgement,
    logged: Mapping[str, Logged],
) -> tuple[str, int]:
    """Register the challenger to act on, write its digest into the ledger, and let `challenger` name it.

    A person who asked for a copy gets one.
    """
    name = best(judgement.decisions)
    made, use_case, folder = trained[name], context.use_case.name, held.options.output_dir
    tags = version_tags(made, judgement.decisions[name])
    plain = plain_standing(context.use_case, judgement, name, promoted=True)
    if plain is not None:
        tags[PLAIN_TAG] = plain.sentence
    version = register_version(context, held, made, logged[name], tags)
    context.registry.set_alias(use_case, "challenger", version)
    if folder is not None:
        copy_to(made.artifact, Path(folder) / f"{use_case}-{version}")
    return name, version


def register_version(
    context: LoopContext, held: HeldRun, made: Trained, logged: Logged, tags: Mapping[str, str]
) -> int:
    """Register a challenger, write its digest into the ledger, and keep a copy here; gives its number."""
    use_case = context.use_case.name
    with context.connect() as conn:
        highest = ledger.highest_version(conn, use_case)
        version = context.registry.register(use_case, logged.model_uri, logged.run_id, tags, beyond=highest)
        note_registered(
            conn,
            use_case,
            version,
            digest=artifact_digest(made.artifact),
            actor=made.manifest.lineage.trigger or "retrain",
            mlflow_run=logged.run_id,
            run_id=held.run_id,
            tags=tags,
            fences=read_encoder(made.artifact, made.manifest.kind).fences,
            dates=[one.name for one in context.use_case.record.fields if one.type == "datetime"],
            beyond_fence=count_beyond(made.manifest.notes),
        )
    add_to_cache(made.artifact, context.model_cache, use_case, version)
    return version


def copy_to(artifact: Path, target: Path) -> None:
    """Give a person a copy of a version; one that is there from an attempt before stays."""
    draft = target.with_name(f".{target.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    copy_for_user(artifact, draft)
    if target.exists():
        shutil.rmtree(draft)
    else:
        draft.rename(target)


@dataclass(frozen=True)
class Candidate:
    """A registered challenger, and what the gate said of it."""

    challenger: str
    version: int
    decision: GateDecision
    actor: str
    """Who asked for the run."""


def act_on_verdict(
    context: LoopContext, held: HeldRun, production: Production, candidate: Candidate
) -> Outcome:
    """Promote, or try on a share of the requests first, or write down why not."""
    decision, version = candidate.decision, candidate.version
    held.ensure_running()
    held.say("promote" if decision.verdict == "promote" else "keep", version=version)
    use_case = context.use_case.name
    note = partial(
        note_verdict,
        use_case=use_case,
        decision=decision,
        production=production.number,
        version=version,
        actor=candidate.actor,
        run_id=held.run_id,
        challenger=candidate.challenger,
    )
    with context.connect() as conn:
        reconcile(conn, context.registry, use_case)
        if decision.verdict != "promote":
            kept = NOT_PROMOTED[decision.verdict]
            note(conn, event=kept, reason=decision.reason)
            return kept
        if context.registry.alias_version(use_case, "production") == version:
            return "promoted"  # by an attempt whose answer was lost
        try:
            return _promote(conn, context, held, production, candidate)
        except (PromotionPaused, CanaryUnderWay) as kept_back:
            note(conn, event="held_back", reason=f"{decision.reason}; {kept_back}")
            return "held_back"
        except ProductionMoved as moved:
            note(conn, event="rejected", reason=str(moved))
            return "rejected"


def _promote(
    conn: psycopg.Connection[Any],
    context: LoopContext,
    held: HeldRun,
    production: Production,
    candidate: Candidate,
) -> Outcome:
    """Make it production, or have it tried first where that is configured and can be."""
    use_case, decision = context.use_case, candidate.decision
    config = use_case.serving.canary
    if config is not None and _may_share(production, use_case):
        begin_canary(
            conn,
            context.registry,
            use_case.name,
            version=candidate.version,
            against=production.number,
            config=config,
            actor=candidate.actor,
            reason=decision.reason,
            evidence=told_of(decision, candidate.challenger),
            run_id=held.run_id,
            token=held.token,
        )
        return "canary"
    promote(
        conn,
        context.registry,
        use_case.name,
        version=candidate.version,
        against=production.number,
        decision=decision,
        actor=candidate.actor,
        run_id=held.run_id,
        token=held.token,
        challenger=candidate.challenger,
    )
    return "promoted"


def _may_share(production: Production, use_case: UseCase) -> bool:
    """Whether production can answer beside it: both must read records alike, and production must answer."""
    if production.predictor is None:
        return False
    served = production.predictor.use_case
    if served.record == use_case.record and served.target.task == use_case.target.task:
        return True
    log.warning(
        "'%s': records are read differently now, so nothing is tried beside production", use_case.name
    )
    return False
