"""A retrain from its first step to its last: the one place that knows their order."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import ParamSpec, TypeVar

from configs.pretrained.text_models import links_left_out
from configs.security.printable import one_line
from features.pretrained.keeping import vectors_kept
from flows.context import LoopContext
from flows.retrain import steps
from flows.retrain.held_run import HeldRun
from flows.retrain.judging.judgement import Judgement
from flows.retrain.judging.plain import plain_standing
from flows.retrain.judging.run import judge_all
from flows.retrain.links.incumbents import find_links, learned_by_any
from flows.retrain.links.keeping import LinkOutcome, keep_links
from flows.retrain.outcome import Candidate, Outcome, RetrainResult, act_on_verdict, log_all, register_best
from flows.retrain.production import NO_PRODUCTION, Production, find_production
from flows.retrain.protection import Protection, protect_rows
from flows.retrain.shadows import Evidence, keep_shadows, score_shadows
from flows.retrain.tracking import Logged
from flows.retrain.training.challenger import Trained
from flows.retrain.training.checkpoints import clear_checkpoints, discarding_if_stopped
from flows.retrain.training.run import train_all
from models.retraining.backlog import TRAINED, read_production, standing
from models.versions.writing import answers_by_itself
from store.snapshots.frames import SplitRows
from store.snapshots.index import Snapshot, find_snapshot

P = ParamSpec("P")
R = TypeVar("R")
NOTHING_CAME = "no label has come since production was trained"
log = logging.getLogger("ratchet.retrain")


@dataclass
class Conduct:
    """How the steps of a run are taken: as they are, and timed. Prefect's flow makes tasks of them."""

    held: HeldRun
    seconds: dict[str, float] = field(default_factory=dict)
    """What each part took so far."""

    def taking(self, step: Callable[P, R]) -> Callable[P, R]:
        """The step as it is to be called."""
        return step

    def warn(self, sentence: str) -> None:
        """Told what a person should know of, and goes on."""
        log.warning(one_line(sentence))

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Say to the run what it is at, and time it."""
        self.held.say(name)
        started = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - started, 3)


@dataclass(frozen=True)
class Ground:
    """What a retrain starts from."""

    production: Production
    snapshot: Snapshot
    missing: str | None
    """Why nothing is to be trained from it, if so."""
    links: Mapping[str, Production] = field(default_factory=dict)
    """By challenger, what answers as its link of the chain."""


@dataclass(frozen=True)
class Retrained:
    """What became of a retrain that had something to train from."""

    evidence: Evidence
    trained: Mapping[str, Trained]
    failures: Mapping[str, str]
    """Challengers that could not be made, and why."""
    judgement: Judgement
    challenger: str
    """The one that was registered."""
    version: int
    outcome: Outcome
    links: Mapping[str, LinkOutcome] = field(default_factory=dict)
    """What became of challengers made for links of the chain."""
    logged: Mapping[str, Logged] = field(default_factory=dict)
    """Where MLflow keeps them, and what is to be drawn of them when all else is done."""


def prepare(context: LoopContext, conduct: Conduct, trigger: str) -> Ground:
    """Settle what was left half-done, find what serves, and freeze the labels."""
    with conduct.part("settle"):
        for sentence in conduct.taking(steps.settle)(context):
            conduct.warn(sentence)
    with conduct.part("data"):
        conduct.taking(steps.ensure_data)(context)
    if (idle := find_idle(context, conduct.held.kind, trigger)) is not None:
        return Ground(*idle, NOTHING_CAME)
    with conduct.part("production"):
        production = conduct.taking(find_production)(context)
        if production.problem is not None:
            conduct.warn(production.problem)
        links = conduct.taking(find_links)(context) if context.use_case.link_challengers else {}
    with conduct.part("snapshot"):
        learned = learned_by_any(production, links)
        snapshot = conduct.taking(steps.snapshot_rows)(context, production, learned)
    for sentence in (*steps.misfits(context, snapshot), *links_left_out(context.use_case)):
        conduct.warn(sentence)
    missing = steps.not_enough(context, production, snapshot) or nothing_new(
        conduct.held.kind, trigger, production, snapshot, taken_back=steps.untried_taken_back(context)
    )
    return Ground(production, snapshot, missing, links)


def carry_out(context: LoopContext, conduct: Conduct, trigger: str, ground: Ground) -> Retrained:
    """Train, judge, register, and promote what beats production; of texts that were met before, vectors are
    kept."""
    held, production, snapshot = conduct.held, ground.production, ground.snapshot
    with context.workdir() as workdir, vectors_kept(context.settings.home):
        rows = conduct.taking(steps.read_rows)(context, held, production, snapshot, workdir)
        with conduct.part("record"):
            protection = conduct.taking(protect_rows)(context, production, snapshot, rows)
            evidence = conduct.taking(score_shadows)(context, held, production, snapshot, protection)
        with conduct.part("train"), discarding_if_stopped(context.settings.home, context.use_case):
            trained, failures = conduct.taking(train_all)(
                context,
                held,
                production,
                snapshot,
                rows,
                trigger=trigger,
                workdir=workdir,
                record=evidence.record,
                taking=conduct.taking,
            )
        for_links = {name: one for name, one in trained.items() if name in ground.links}
        trained = {name: one for name, one in trained.items() if name not in for_links}
        with conduct.part("gate"):
            judgement = conduct.taking(judge_all)(
                context,
                held,
                production,
                rows,
                trained,
                left_out=steps.labels_left_out(context, production, snapshot),
                protection=protection,
                evidence=evidence,
            )
        with conduct.part("log"):
            logged = conduct.taking(log_all)(context, held, snapshot, trained, judgement)
            name, version = conduct.taking(register_best)(context, held, trained, judgement, logged)
            conduct.taking(keep_shadows)(context, held, snapshot, evidence, trained, logged, (name, version))
        links = _links_kept(context, conduct, trigger, ground, rows, for_links, protection)
    with conduct.part("promote"):
        outcome = conduct.taking(act_on_verdict)(
            context, held, production, Candidate(name, version, judgement.decisions[name], actor=trigger)
        )
    clear_checkpoints(context.settings.home, context.use_case.name)
    logged = {**logged, **{link: one.logged for link, one in links.items()}}
    return Retrained(evidence, trained, failures, judgement, name, version, outcome, links, logged)


def _links_kept(
    context: LoopContext,
    conduct: Conduct,
    trigger: str,
    ground: Ground,
    rows: SplitRows,
    made: Mapping[str, Trained],
    protection: Protection,
) -> Mapping[str, LinkOutcome]:
    """What became of the challengers that were made for links of the chain."""
    if not made:
        return {}
    with conduct.part("links"):
        return conduct.taking(keep_links)(
            context,
            conduct.held,
            ground.snapshot,
            rows,
            made,
            ground.links,
            protection=protection,
            actor=trigger,
        )


def find_idle(context: LoopContext, kind: str, trigger: str) -> tuple[Production, Snapshot] | None:
    """Of a scheduled retrain for which nothing has come, seen by counts before any row is read: production,
    by its number only, and what it learned from. None: there may be something to learn (`nothing_new`).

    Raises:
        RegistryUnavailable: MLflow does not answer.
        SnapshotError: production's snapshot is not known here.
    """
    if kind != "retrain" or trigger != "schedule":
        return None
    name = context.use_case.name
    with context.connect() as conn:
        facts = read_production(conn, context.registry, name)
        if facts is None or facts.problem is not None or facts.snapshot is None:
            return None
        now = standing(conn, name, facts)
        if now.new_labels or now.new_since != TRAINED:
            return None
        snapshot = find_snapshot(conn, facts.snapshot)
    if steps.untried_taken_back(context):
        return None
    version = context.registry.version(name, facts.version)
    return replace(NO_PRODUCTION, version=version), snapshot


def nothing_new(
    kind: str, trigger: str, production: Production, snapshot: Snapshot, *, taken_back: int = 0
) -> str | None:
    """Neither a schedule nor a warm start repeats what production already knows; a person may retrain.

    A first model is asked for by the stack and by flows, each of which has looked before the run was held:
    the one that comes second finds it made.

    Args:
        taken_back: labels that the last run learned from and that were taken back since: what is left of them
            is new to learn from, but to go on from what learned them is not.
    """
    if trigger == "first_model" and production.version is not None:
        return f"no first model is missing any more: version {production.number} is production"
    known = production.known
    if taken_back and kind != "train":
        return None
    if known is None or known.late or snapshot.last_seq > known.last:
        return None
    if trigger == "schedule" or kind == "train":
        if production.was_taken_back:
            return "no label has come since a later version was taken back"
        return NOTHING_CAME
    return None


def skipped(context: LoopContext, conduct: Conduct, ground: Ground) -> RetrainResult:
    """The result of a run that found nothing to do."""
    snapshot = ground.snapshot
    return RetrainResult(
        use_case=context.use_case.name,
        run_id=str(conduct.held.run_id),
        outcome="skipped",
        reason=str(ground.missing),
        version=None,
        production_before=ground.production.number,
        challenger=None,
        decisions={},
        scores={},
        production_scores=None,
        original_scores={},
        failures={},
        snapshot=snapshot.digest,
        train_rows=snapshot.train_rows,
        holdout_rows=snapshot.holdout_rows,
        steps=conduct.seconds,
        left_out_rows=snapshot.left_out_rows,
        left_out=[reason.as_dict() for reason in snapshot.left_out],
        warnings=(*snapshot.warnings, *links_left_out(context.use_case)),
    )


def summed_up(context: LoopContext, conduct: Conduct, ground: Ground, retrained: Retrained) -> RetrainResult:
    """The result of a run that judged challengers."""
    judgement, use_case = retrained.judgement, context.use_case
    plain = plain_standing(
        use_case, judgement, retrained.challenger, promoted=retrained.outcome == "promoted"
    )
    beaten = () if plain is None or not plain.better else (plain.sentence,)
    begun = skipped(context, conduct, ground)
    by_itself = answers_by_itself(retrained.trained[retrained.challenger].manifest)
    return replace(
        begun,
        outcome=retrained.outcome,
        reason=judgement.decisions[retrained.challenger].reason,
        version=retrained.version,
        challenger=retrained.challenger,
        decisions={name: decision.as_dict() for name, decision in judgement.decisions.items()},
        scores={name: dict(scores) for name, scores in judgement.scores.items()},
        production_scores=judgement.production_scores,
        original_scores=judgement.original_scores,
        failures=retrained.failures,
        links={name: one.as_dict() for name, one in retrained.links.items()},
        holdout_rows=judgement.rows,
        warnings=(*begun.warnings, *judgement.warnings, *retrained.evidence.notes, *beaten, *by_itself),
        plain=None if plain is None else plain.as_dict(),
    )
