"""Whether a retrain is due, asked from inside the loop."""

from __future__ import annotations

from flows.context import LoopContext
from models.retraining.backlog import decide, read_production, standing
from models.retraining.triggers import RetrainDecision


def retrain_decision(context: LoopContext) -> RetrainDecision:
    """Whether a retrain is due now."""
    name = context.use_case.name
    with context.connect() as conn:
        now = standing(conn, name, read_production(conn, context.registry, name))
        return decide(conn, context.use_case, now)
