"""A challenger that was made for a link: judged against what answers there, in its place if it wins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from flows.context import LoopContext
from flows.retrain.held_run import HeldRun
from flows.retrain.judging.run import judge_all
from flows.retrain.outcome import log_all, register_version, version_tags
from flows.retrain.production import Production
from flows.retrain.protection import Protection
from flows.retrain.shadows import Evidence
from flows.retrain.steps import labels_left_out
from flows.retrain.tracking import Logged
from flows.retrain.training.challenger import Trained
from models.errors import LinkMoved
from models.gate.decision import GateDecision
from models.production import ledger
from models.production.promotion import move_link, reconcile
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
    """The version that answered there, or has been put there meanwhile."""
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
    with context.connect() as conn:
        reconcile(conn, context.registry, context.use_case.name)
    outcomes = {}
    for name, made in trained.items():
        own, before = {name: made}, links[name]
        evidence = Evidence(tries=_tries(context, name, before.number))
        judgement = judge_all(
            context,
            held,
            before,
            rows,
            own,
            left_out=labels_left_out(context, before, snapshot, who=f"the link of '{name}'"),
            protection=protection,
            evidence=evidence,
        )
        logged = log_all(context, held, snapshot, own, judgement)[name]
        outcome = LinkOutcome(judgement.decisions[name], None, before.number, logged)
        if outcome.decision.verdict == "promote":
            outcome = _moved(context, held, made, outcome, actor)
        outcomes[name] = outcome
    return outcomes


def _tries(context: LoopContext, challenger: str, version: int | None) -> int:
    if version is None:
        return 0
    with context.connect() as conn:
        return link_tries(conn, context.use_case.name, challenger, version)


def _moved(
    context: LoopContext, held: HeldRun, made: Trained, outcome: LinkOutcome, actor: str
) -> LinkOutcome:
    """Let the link name what was made, unless that was moved since; servers see it within seconds."""
    use_case, decision = context.use_case.name, outcome.decision
    held.ensure_running()
    held.say("link", challenger=made.name)
    with context.connect() as conn:
        if (done := ledger.linked_by(conn, use_case, held.run_id, made.name)) is not None:
            return replace(outcome, version=done.to_version)  # by an attempt that broke off after it
    version = register_version(context, held, made, outcome.logged, version_tags(made, decision))
    try:
        with context.connect() as conn:
            move_link(
                conn,
                context.registry,
                use_case,
                version=version,
                against=outcome.before,
                decision=decision,
                actor=actor,
                run_id=held.run_id,
                token=held.token,
                challenger=made.name,
            )
    except LinkMoved as moved:
        kept = replace(decision, verdict="reject", reason=f"{moved}; {decision.reason}")
        return replace(outcome, decision=kept, before=moved.now)
    return replace(outcome, version=version)
