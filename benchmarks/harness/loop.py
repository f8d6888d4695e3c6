"""One turn of the loop without Prefect: the steps of `flows.loop` in order."""

from __future__ import annotations

from pathlib import Path

from flows.context import LoopContext
from flows.retrain import outcome as outcomes
from flows.retrain import steps
from flows.retrain.held_run import holding_run
from flows.retrain.production import find_production
from flows.retrain.shadows import keep_shadows, score_shadows


def retrain(context: LoopContext, workdir: Path) -> str:
    """Snapshot, train, judge, promote; returns what became of it."""
    with holding_run(
        context.database_url, context.use_case.name,
        trigger="schedule", run_id=None, flow_run_id=None, on_progress=lambda _said: None,
    ) as held:  # fmt: skip
        steps.settle(context)
        production = find_production(context)
        snapshot = steps.snapshot_rows(context, production)
        if (missing := steps.not_enough(context, snapshot)) is not None:
            return missing
        frame = steps.read_frame(context, snapshot)
        protection = steps.protect_rows(context, production, snapshot, frame)
        evidence = score_shadows(context, held, production, snapshot, protection)
        trained, _ = steps.train_all(
            context,
            held,
            production,
            snapshot,
            frame,
            trigger="schedule",
            workdir=workdir,
            record=evidence.record,
        )
        judgement = steps.judge_all(
            context, held, production, frame, trained, protection=protection, evidence=evidence
        )
        logged = outcomes.log_all(context, held, snapshot, trained, judgement)
        name, version = outcomes.register_best(context, held, trained, judgement, logged)
        keep_shadows(context, held, snapshot, evidence, trained, logged, (name, version))
        return outcomes.act_on_verdict(
            context, held, production, judgement.decisions[name], version, challenger=name, actor="schedule"
        )
