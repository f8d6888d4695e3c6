"""One turn of the loop without Prefect."""

from __future__ import annotations

from flows.context import LoopContext
from flows.retrain.held_run import holding_run
from flows.retrain.sequence import Conduct, carry_out, prepare


def retrain(context: LoopContext) -> str:
    """Snapshot, train, judge, promote; returns what became of it."""
    with holding_run(
        context.database_url, context.use_case.name,
        trigger="schedule", run_id=None, flow_run_id=None, on_progress=lambda _said: None,
    ) as held:  # fmt: skip
        conduct = Conduct(held)
        ground = prepare(context, conduct, "schedule")
        return ground.missing or carry_out(context, conduct, "schedule", ground).outcome
