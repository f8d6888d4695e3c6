"""One look at a promoted version: its evidence, and production goes back where that is proven to be better.

A look begins from all rows, so labels that were corrected, or whose source is held back since, count as they
are now. It is repeatable: the evidence is kept after production has moved, and a look that was cut off in
between finds another version in production and leaves it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from flows.context import LoopContext
from flows.probation.pairs import Contender, load_contender, weigh_pair
from flows.probation.rows import probation_rows
from flows.retrain.production import Production, find_production
from models.errors import (
    ArtifactDamaged,
    ModelError,
    NotComparable,
    ProductionMoved,
    PromotionPaused,
    RegistryUnavailable,
    UnknownVersion,
)
from models.probation.evidence import Probation
from models.production import ledger
from models.production.rollback import roll_back
from store.feedback.rows import count_feedback, last_arrival
from store.probation import StoredProbation, find_probation, keep_probation

log = logging.getLogger("ratchet.probation")
ACTOR = "probation"
FEWEST_LABELS = 10
"""Between two looks."""
GROWTH = 0.1
"""By what part of the labels so far there must be more before the next look: looks cost, labels are many."""


@dataclass(frozen=True)
class Watched:
    """A promotion that is watched."""

    move: int
    """Its row of the ledger."""
    version: int
    before: int


def find_watched(context: LoopContext) -> Watched | None:
    """The promotion that is to be watched now; None: production did not win, or nothing was before it.

    What people have made production, or gone back to, is theirs.
    """
    if context.use_case.probation.labels == 0:
        return None
    with context.connect() as conn:
        move = ledger.last_move(conn, context.use_case.name)
        if move is None or move.event != "promoted" or move.to_version is None:
            return None
        if move.from_version is None or move.from_version == move.to_version:
            return None
        stored = find_probation(conn, move.id)
    return (
        None if stored is not None and stored.ended else Watched(move.id, move.to_version, move.from_version)
    )


def is_look_due(context: LoopContext) -> bool:
    """Whether enough labels have come since the last look."""
    watched = find_watched(context)
    if watched is None:
        return False
    with context.connect() as conn:
        stored = find_probation(conn, watched.move)
        if stored is None:
            return True
        return labels_came(conn, context.use_case.name, stored)


def labels_came(conn: psycopg.Connection[Any], use_case: str, stored: StoredProbation) -> bool:
    """Whether so many have come since a look that another is worth it."""
    seen = Probation.from_dict(stored.evidence).labels
    return count_feedback(conn, use_case, stored.last_seq) >= max(FEWEST_LABELS, GROWTH * seen)


def look_if_due(context: LoopContext) -> Probation | None:
    """As `look`, if enough labels have come since the last one."""
    return look(context) if is_look_due(context) else None


def look(context: LoopContext) -> Probation | None:
    """Weigh all labels since the promotion, act on them, and keep what was seen; None: nothing is watched.

    Raises:
        RegistryUnavailable: MLflow does not answer; that says nothing of a version.
    """
    watched = find_watched(context)
    if watched is None:
        return None
    production = find_production(context)
    if production.number != watched.version:
        return None  # somebody has moved it, and the ledger will tell
    with context.connect() as conn:
        last_seq = last_arrival(conn, context.use_case.name)
    begun = Probation(watched.version, watched.before, most_labels=context.use_case.probation.labels)
    try:
        before = load_contender(context, watched.before, actor=ACTOR)
        probation = _weigh(context, begun, production, before, last_seq)
    except RegistryUnavailable:
        raise
    except ModelError as error:
        probation = replace(begun, verdict="not_compared", why=str(error))
    if probation.verdict == "worse" and context.use_case.probation.action == "roll_back":
        probation = _take_back(context, probation)
    with context.connect() as conn:
        keep_probation(
            conn,
            context.use_case.name,
            watched.move,
            last_seq=last_seq,
            ended=probation.has_ended,
            evidence=probation.as_dict(),
        )
        conn.commit()
    return probation


def _weigh(
    context: LoopContext, begun: Probation, production: Production, before: Contender, last_seq: int
) -> Probation:
    """What the rows say; `held` where it rests on one source.

    Raises:
        NotComparable: production does not answer, or nobody knows what it has learned.
    """
    if production.reach is None:
        raise NotComparable("nobody knows which labels production has learned: its snapshot is not known")
    if production.predictor is None:
        raise NotComparable(production.error or production.gone or "production does not answer")
    config = context.use_case.probation
    learned = production.learned | before.learned
    found = probation_rows(context, production, learned, production.reach.last, last_seq, most=config.labels)
    return weigh_pair(
        context,
        config,
        replace(begun, why=found.doubt),
        production.predictor,
        before.predictor,
        found.rows,
        production.learned,
    )


def _take_back(context: LoopContext, probation: Probation) -> Probation:
    """Production goes back, unless a person has moved it or wants it to stay."""
    name = context.use_case.name
    taken_back = replace(probation, verdict="taken_back")
    try:
        with context.connect() as conn:
            roll_back(
                conn,
                context.registry,
                name,
                to=probation.before,
                actor=ACTOR,
                reason=taken_back.sentence,
                cache_dir=context.model_cache,
                only_from=probation.version,
                evidence={"probation": taken_back.as_dict()},
            )
    except ProductionMoved as moved:
        return replace(probation, why=str(moved))
    except PromotionPaused as paused:
        return replace(probation, verdict="held", why=str(paused))
    except (UnknownVersion, ArtifactDamaged) as error:
        return replace(probation, verdict="held", why=str(error))
    log.warning("'%s': %s", name, taken_back.sentence)
    return taken_back
