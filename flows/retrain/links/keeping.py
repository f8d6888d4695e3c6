"""A challenger that was made for a link: judged against what answers there, in its place if it wins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flows.context import LoopContext
from flows.retrain.held_run import HeldRun
from flows.retrain.judging.judgement import Judgement
from flows.retrain.judging.run import judge_all
from flows.retrain.outcome import log_all, register_version, version_tags
from flows.retrain.production import Production
from flows.retrain.protection import Protection
from flows.retrain.shadows import Evidence
from flows.retrain.tracking import Logged
from flows.retrain.training.challenger import Trained
from models.gate.decision import GateDecision
from models.production import ledger
from models.production.contract import link_alias
from models.production.promotion import moving, told_of
from store.runs.tries import link_tries
from store.snapshots.frames import SplitRows
from store.snapshots.index import Snapshot


@dataclass(frozen=True)
class LinkOutcome:
    """What became of a challenger that was made for a link."""

    decision: GateDecision
    version: int | None
    """Its number, where it answers as the link from now on."""
    before: int | None
    """The version that answered there."""
    logged: Logged
    """Where MLflow keeps it."""

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {"version": self.version, "before": self.before, "decision": self.decision.as_dict()}


def keep_links(
    context: LoopContext,
    held: HeldRun,
    snapshot: Snapshot,
    rows: SplitRows,
    trained: Mapping[str, Trained],
    links: Mapping[str, Production],
    *,
    protection: Protection,
    actor: str,
) -> dict[str, LinkOutcome]:
    """Judge each challenger against the version of its link, and let the link name those that win.

    Args:
        trained: by challenger.
        links: by challenger, what answers as its link (`flows.retrain.links.incumbents.find_links`).
        protection: which held-out rows count, where labels were chosen.
        actor: who asked for the run.
    """
    outcomes = {}
    for name, made in trained.items():
        own, before = {name: made}, links[name]
        evidence = Evidence(tries=_tries(context, name, before.number))
        judgement = judge_all(context, held, before, rows, own, protection=protection, evidence=evidence)
        logged = log_all(context, held, snapshot, own, judgement)[name]
        decision, version = judgement.decisions[name], None
        if decision.verdict == "promote":
            held.ensure_running()
            held.say("link", challenger=name)
            version = register_version(context, held, made, logged, version_tags(made, decision))
            _move(context, held, name, judgement, before.number, version, actor)
        outcomes[name] = LinkOutcome(decision, version, before.number, logged)
    return outcomes


def _tries(context: LoopContext, challenger: str, version: int | None) -> int:
    if version is None:
        return 0
    with context.connect() as conn:
        return link_tries(conn, context.use_case.name, challenger, version)


def _move(
    context: LoopContext,
    held: HeldRun,
    challenger: str,
    judgement: Judgement,
    before: int | None,
    version: int,
    actor: str,
) -> None:
    """Let the alias of the link name the version; servers see it within seconds."""
    use_case, decision = context.use_case.name, judgement.decisions[challenger]
    with context.connect() as conn, moving(conn, use_case):
        context.registry.set_alias(use_case, link_alias(challenger), version)
        ledger.record(
            conn,
            use_case,
            "linked",
            actor=actor,
            reason=decision.reason,
            from_version=before,
            to_version=version,
            evidence=told_of(decision, challenger),
            run_id=held.run_id,
        )
        conn.commit()
