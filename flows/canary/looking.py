"""One look at what is tried: it goes on, becomes production, or is taken back.

It is taken back as soon as a server could not answer by it, or labels prove it worse by the bet that promoted
versions are watched by (`models.probation`); it becomes production after its labels or its hours. A look is
repeatable: what a cut-off one has done is in the ledger, where nothing is tried any more.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from flows.context import LoopContext
from flows.probation.looking import labels_came
from flows.probation.pairs import Contender, load_contender, weigh_pair
from flows.probation.rows import probation_rows
from flows.retrain.production import Production, find_production
from models.canary.moves import end_canary, promote_canary
from models.canary.standing import Canary, find_canary, sentence_of
from models.errors import (
    ArtifactError,
    ArtifactTooNew,
    NoCanary,
    NotComparable,
    ProbeError,
    ProductionMoved,
    PromotionPaused,
    RegistryUnavailable,
    UnknownVersion,
)
from models.probation.evidence import Probation
from models.production import ledger
from models.production.registry_rest import open_registry
from models.production.tags import SNAPSHOT_TAG
from store.feedback.rows import last_arrival
from store.probation import StoredProbation, find_probation, keep_probation

log = logging.getLogger("ratchet.canary")
ACTOR = "canary"
HELD = timedelta(minutes=10)
"""Between two looks at one that waits for a person, without a label."""
UNUSABLE = (ArtifactError, ArtifactTooNew, ProbeError, UnknownVersion)


def is_look_due(context: LoopContext) -> bool:
    """Whether enough labels have come, its time is over, a server could not answer by it, or it is gone."""
    name = context.use_case.name
    with context.connect() as conn:
        tried = find_canary(conn, name)
        if tried is None:
            return False
        stored = find_probation(conn, tried.move)
        if stored is None or labels_came(conn, name, stored) or refusal(conn, name, tried) is not None:
            return True
        if datetime.now(UTC) >= tried.until and not _is_still_held(conn, name, stored):
            return True
    return _is_deleted(context, tried.version)


def _is_still_held(conn: psycopg.Connection[Any], use_case: str, stored: StoredProbation) -> bool:
    """Whether nothing has changed since a look that left it to a person; now and then another one is due."""
    if stored.evidence["verdict"] != "held":
        return False
    resumed = ledger.newest(conn, use_case, ("resumed",))
    is_new = abs(datetime.now(UTC) - stored.looked_at) < HELD  # far ahead where the clock was set back since
    return is_new and (resumed is None or resumed.at < stored.looked_at)


def _is_deleted(context: LoopContext, version: int) -> bool:
    """Whether MLflow has it no more; where MLflow is away that is not known, and nobody waits for it."""
    try:
        open_registry(context.settings.mlflow_uri).version(context.use_case.name, version)
    except UnknownVersion:
        return True
    except RegistryUnavailable:
        return False
    return False


def look_if_due(context: LoopContext) -> Probation | None:
    """As `look`, where that is due."""
    return look(context) if is_look_due(context) else None


def look(context: LoopContext) -> Probation | None:
    """Weigh what was seen of the canary, act on it, and keep it; None: nothing is tried.

    Raises:
        RegistryUnavailable: MLflow does not answer; that says nothing of a version.
    """
    name = context.use_case.name
    with context.connect() as conn:
        tried = find_canary(conn, name)
        if tried is None:
            return None
        last_seq = last_arrival(conn, name)
        refused = refusal(conn, name, tried)
    production = find_production(context)
    if production.number != tried.against:
        return None  # it was moved by hand, and servers will tell the ledger
    begun = Probation(
        tried.version,
        tried.against,
        most_labels=tried.config.labels,
        line=1 / context.use_case.probation.false_alarms,
    )
    if refused is not None:
        seen = _end(context, tried, replace(begun, why=f"a server could not answer by it: {refused}"))
    else:
        seen = _conclude(context, tried, _weigh(context, tried, begun, production, last_seq))
    with context.connect() as conn:
        keep_probation(
            conn, name, tried.move, last_seq=last_seq, ended=seen.has_ended, evidence=seen.as_dict()
        )
        conn.commit()
    return seen


def refusal(conn: psycopg.Connection[Any], use_case: str, tried: Canary) -> str | None:
    """Why a server gave it up since it was begun; None: none did."""
    last = ledger.newest(conn, use_case, ("refused",), version=tried.version)
    return last.reason if last is not None and last.id > tried.move else None


def _weigh(
    context: LoopContext, tried: Canary, begun: Probation, production: Production, last_seq: int
) -> Probation:
    try:
        # Deleted in MLflow it could not become production, though its copy here would still answer.
        context.registry.version(context.use_case.name, tried.version)
        contender = load_contender(context, tried.version, actor=ACTOR)
    except RegistryUnavailable:
        raise
    except UNUSABLE as error:
        return _end(context, tried, replace(begun, why=f"it does not work: {error}"))
    try:
        return _weigh_labels(context, tried, begun, production, contender, last_seq)
    except NotComparable as error:
        return replace(begun, verdict="not_compared", why=str(error))


def _weigh_labels(
    context: LoopContext,
    tried: Canary,
    begun: Probation,
    production: Production,
    contender: Contender,
    last_seq: int,
) -> Probation:
    """What labels say that came after it was made, whoever answered their records.

    Raises:
        NotComparable: production does not answer, or nobody knows what was learned.
    """
    if production.predictor is None:
        raise NotComparable(production.error or production.gone or "production does not answer")
    if contender.reach is None:
        raise NotComparable(f"nobody knows which labels version {tried.version} has learned")
    most = tried.config.labels
    learned = production.learned | contender.learned
    found = probation_rows(context, production, learned, contender.reach.last, last_seq, most=most)
    return weigh_pair(
        context,
        context.use_case.probation.model_copy(update={"labels": most}),
        replace(begun, why=found.doubt),
        contender.predictor,
        production.predictor,
        found.rows,
        contender.learned,
    )


def _conclude(context: LoopContext, tried: Canary, seen: Probation) -> Probation:
    """Act on what the labels say, and on the clock."""
    if seen.verdict == "worse":
        return _end(context, tried, seen)
    is_over = seen.verdict == "passed" or datetime.now(UTC) >= tried.until
    if seen.verdict in ("held", "taken_back") or not is_over:
        return seen
    passed = replace(seen, verdict="passed")
    reason = f"{sentence_of(tried, passed)}; {tried.evidence.get('reason', 'a person had it tried')}"
    try:
        with context.connect() as conn:
            promote_canary(
                conn,
                context.registry,
                context.use_case.name,
                actor=ACTOR,
                reason=reason,
                only=tried.move,
                evidence={"tried": passed.as_dict()},
            )
    except PromotionPaused as paused:
        return replace(seen, verdict="held", why=str(paused))
    except (ProductionMoved, NoCanary, UnknownVersion) as moved:
        return replace(seen, why=str(moved))
    return passed


def _end(context: LoopContext, tried: Canary, seen: Probation) -> Probation:
    """It answers nobody any more, and what had it win counts as tried."""
    taken_back = replace(seen, verdict="taken_back")
    try:
        snapshot = context.registry.version(context.use_case.name, tried.version).tags.get(SNAPSHOT_TAG)
    except UnknownVersion:
        snapshot = None
    try:
        with context.connect() as conn:
            end_canary(
                conn,
                context.registry,
                context.use_case.name,
                actor=ACTOR,
                reason=sentence_of(tried, taken_back),
                only=tried.move,
                evidence={"tried": taken_back.as_dict(), "snapshot": snapshot},
            )
    except NoCanary as ended:
        return replace(seen, why=str(ended))
    log.warning("'%s': %s", context.use_case.name, sentence_of(tried, taken_back))
    return taken_back
