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
from flows.retrain.idle import Seen, find_idle, nothing_new, seen_now
from flows.retrain.judging.judgement import Judgement
from flows.retrain.judging.plain import plain_standing
from flows.retrain.judging.run import judge_all
from flows.retrain.links.incumbents import find_links, learned_by_any
from flows.retrain.links.keeping import LinkOutcome, keep_links
from flows.retrain.newness import Newness, newness_of
from flows.retrain.outcome import Candidate, Outcome, RetrainResult, act_on_verdict, log_all, register_best
from flows.retrain.production import Production, find_production
from flows.retrain.protection import Protection, protect_rows
from flows.retrain.shadows import Evidence, keep_shadows, score_shadows
from flows.retrain.tracking import Logged
from flows.retrain.training.challenger import Trained
from flows.retrain.training.checkpoints import clear_checkpoints, discarding_if_stopped
from flows.retrain.training.run import train_all
from models.versions.writing import answers_by_itself
from store.snapshots.frames import SplitRows
from store.snapshots.index import Snapshot

P = ParamSpec("P")
R = TypeVar("R")
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
    seen: Seen
    """What it is made of."""
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
    newness: Newness | None = None
    """What is learned from that production has not learned from; None: there is none, or nobody knows."""
    logged: Mapping[str, Logged] = field(default_factory=dict)
    """Where MLflow keeps them, and what is to be drawn of them when all else is done."""


def prepare(context: LoopContext, conduct: Conduct, trigger: str) -> Ground:
    """Settle what was left half-done, find what serves, and freeze the labels."""
    with conduct.part("settle"):
        for sentence in conduct.taking(steps.settle)(context):
            conduct.warn(sentence)
    if (idle := find_idle(context, conduct.held.kind, trigger)) is not None:
        return Ground(idle.production, idle.snapshot, idle.reason, idle.seen)
    with conduct.part("data"):
        conduct.taking(steps.ensure_data)(context)
    with context.connect() as conn:
        seen = seen_now(conn, context.use_case)
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
    return Ground(production, snapshot, missing, seen, links)


def carry_out(context: LoopContext, conduct: Conduct, trigger: str, ground: Ground) -> Retrained:
    """Train, judge, register, and promote what beats production; of texts that were met before, vectors are
    kept."""
    held, production, snapshot = conduct.held, ground.production, ground.snapshot
    context = context.patient()  # what is trained may have taken hours
    with context.workdir() as workdir, vectors_kept(context.settings.home):
        with conduct.part("rows"):
            rows = conduct.taking(steps.read_rows)(context, held, production, snapshot, workdir)
            newness = newness_of(context, production, rows.learn.seq)
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
    return Retrained(evidence, trained, failures, judgement, name, version, outcome, links, newness, logged)


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
        seen=ground.seen.beside(ground.production.number),
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
    newness = retrained.newness
    returned = () if newness is None or newness.sentence is None else (newness.sentence,)
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
        compute=retrained.trained[retrained.challenger].compute,
        warnings=(
            *begun.warnings,
            *judgement.warnings,
            *retrained.evidence.notes,
            *returned,
            *beaten,
            *by_itself,
        ),
        newness=None if newness is None else newness.as_dict(),
        plain=None if plain is None else plain.as_dict(),
    )
