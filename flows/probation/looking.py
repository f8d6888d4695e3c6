"""One look at a promoted version: its evidence, and production goes back where that is proven to be better.

A look begins from all rows, so labels that were corrected, or whose source is held back since, count as they
are now. It is repeatable: the evidence is kept after production has moved, and a look that was cut off in
between finds another version in production and leaves it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np

from flows.context import LoopContext
from flows.probation.rows import ProbationRows, probation_rows
from flows.retrain.lineage import learned_by
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
from models.gate.answers import ask
from models.gate.sources import JudgedSources
from models.probation.evidence import Probation, row_losses, weigh_losses
from models.probation.sources import carrying_source
from models.production import ledger
from models.production.artifact_digests import vouched_artifact
from models.production.rollback import roll_back
from models.versions.predictor import Predictor
from store.feedback.rows import count_feedback, last_arrival
from store.feedback.sources import deciding_sources, labels_before
from store.probation import find_probation, keep_probation
from store.snapshots.learned import Learned
from store.sources.standings import read_sources

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
        seen = Probation.from_dict(stored.evidence).labels
        more = count_feedback(conn, context.use_case.name, stored.last_seq)
    return more >= max(FEWEST_LABELS, GROWTH * seen)


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
        before, learned = _version_before(context, watched.before)
        rows = _rows(context, production, learned, last_seq)
        probation = _weigh(context, begun, production, before, rows)
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


def _version_before(context: LoopContext, number: int) -> tuple[Predictor, Learned]:
    """The version before, and what it has learned.

    Raises:
        ModelError: it was deleted, or does not work here.
    """
    name = context.use_case.name
    with context.connect() as conn:
        version = context.registry.version(name, number)
        artifact = vouched_artifact(conn, context.registry, name, number, context.model_cache, actor=ACTOR)
        predictor = Predictor.load(artifact)
        predictor.check_probe()
        learned = learned_by(conn, context.registry, version, context.use_case, context.settings.home)
    return predictor, learned


def _rows(context: LoopContext, production: Production, learned: Learned, last_seq: int) -> ProbationRows:
    if production.reach is None:
        raise NotComparable("nobody knows which labels production has learned: its snapshot is not known")
    learned_by_either = production.learned | learned
    return probation_rows(context, production, learned_by_either, production.reach.last, last_seq)


def _weigh(
    context: LoopContext, begun: Probation, production: Production, before: Predictor, found: ProbationRows
) -> Probation:
    """What the rows say; `held` where it rests on one source."""
    use_case, rows = context.use_case, found.rows
    if production.predictor is None:
        raise NotComparable(production.error or production.gone or "production does not answer")
    begun = replace(begun, why=found.doubt)
    if not len(rows):
        return begun
    labels = rows.labels.tolist()
    mine, theirs = ask(production.predictor, rows.columns), ask(before, rows.columns)
    losses, counts = row_losses(use_case.target, use_case.gate.metric, mine, theirs, labels)
    weighed = weigh_losses(use_case.probation, replace(begun, counts=counts), losses)
    if weighed.verdict != "worse":
        return weighed
    agrees = np.array(theirs.labels, dtype=object) == rows.labels
    with context.connect() as conn:
        sources = JudgedSources(
            deciding_sources(conn, use_case.name, rows.identities.tolist()),
            [one.name for one in read_sources(conn, use_case.name) if one.told == "release"],
            labels_before(conn, use_case.name, int(production.learned.arrivals.max(initial=0))),
        )
    held = carrying_source(use_case, losses, np.asarray(agrees, dtype=np.bool_), sources)
    return weighed if held is None else replace(weighed, verdict="held", why=held)


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
