"""Canaries begin, end, and become production; one of a use case at a time.

The ledger says which version is tried, so that a kill between two steps leaves one answer; the alias `canary`
follows it, for people who look at MLflow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import psycopg

from configs.schema import CanaryConfig
from models.canary.standing import CONFIG, Canary, find_canary
from models.errors import (
    AlreadyProduction,
    CanaryUnderWay,
    NoCanary,
    NoProduction,
    ProductionMoved,
)
from models.production import ledger
from models.production.contract import AliasMover, VersionMover
from models.production.incumbent import last_production
from models.production.promotion import (
    ensure_not_paused,
    forget_canary,
    move_aliases,
    moving,
    settle_intents,
)
from store.runs import lifecycle


def begin_canary(
    conn: psycopg.Connection[Any],
    registry: VersionMover,
    use_case: str,
    *,
    version: int,
    against: int | None,
    config: CanaryConfig,
    actor: str,
    reason: str,
    evidence: Mapping[str, Any],
    run_id: UUID | str | None = None,
    token: int | None = None,
) -> None:
    """Let a version answer its share of the requests, and tell every server.

    Args:
        against: production, as whoever decided on it knows it; None: whatever it is.
        evidence: what the gate said of it.
        run_id, token: of the run that made it, where one did.

    Raises:
        Fenced: another run has taken over.
        ProductionMoved: another version is production by now.
        PromotionPaused: a person wants production to stay.
        CanaryUnderWay: another version is tried already, or this one in another way.
        NoProduction: there is nothing to try it beside.
        AlreadyProduction: it serves everybody.
        UnknownVersion: the registry has none of that number.
    """
    with moving(conn, use_case):
        settle_intents(conn, registry, use_case)
        production = _production_beside(conn, registry, use_case, version, against)
        if (tried := find_canary(conn, use_case)) is not None:
            if tried.version == version and tried.config == config:
                return
            raise CanaryUnderWay(use_case, tried.version, tried.until)
        registry.version(use_case, version)
        if run_id is not None and token is not None:
            lifecycle.hold(conn, str(run_id), token)
        ledger.record(
            conn,
            use_case,
            "canary",
            actor=actor,
            reason=reason,
            from_version=production,
            to_version=version,
            evidence={**evidence, CONFIG: config.model_dump()},
            run_id=run_id,
        )
        ledger.announce_canary(conn, use_case)
        conn.commit()
        registry.set_alias(use_case, "canary", version)


def _production_beside(
    conn: psycopg.Connection[Any], registry: VersionMover, use_case: str, version: int, against: int | None
) -> int:
    """Production, where this version may be tried beside it, and it is the one that is meant."""
    production = registry.alias_version(use_case, "production") or last_production(conn, use_case)
    if production is None:
        raise NoProduction(use_case)
    if version == production:
        raise AlreadyProduction(use_case, production)
    if against not in (None, production):
        raise ProductionMoved(use_case, against, production)
    ensure_not_paused(conn, use_case)
    return production


def end_canary(
    conn: psycopg.Connection[Any],
    registry: AliasMover,
    use_case: str,
    *,
    actor: str,
    reason: str,
    only: int | None = None,
    evidence: Mapping[str, Any] | None = None,
) -> Canary:
    """Let production answer every request again, and tell every server.

    Args:
        only: the row that began what is to be ended; None: whatever is tried.
        evidence: why, for the ledger; with `snapshot` the rows that had it win count as tried.

    Raises:
        NoCanary: nothing is tried, or something else.
    """
    with moving(conn, use_case):
        tried = _tried(conn, use_case, only)
        ledger.record(
            conn,
            use_case,
            "canary_ended",
            actor=actor,
            reason=reason,
            from_version=tried.version,
            to_version=tried.against,
            evidence=evidence,
        )
        ledger.announce_canary(conn, use_case)
        conn.commit()
        forget_canary(registry, use_case)
    return tried


def promote_canary(
    conn: psycopg.Connection[Any],
    registry: VersionMover,
    use_case: str,
    *,
    actor: str,
    reason: str,
    only: int | None = None,
    evidence: Mapping[str, Any] | None = None,
) -> Canary:
    """Make what is tried production, and tell every server.

    Raises:
        NoCanary: nothing is tried, or something else than `only`.
        ProductionMoved: it was tried beside another version.
        PromotionPaused: a person wants production to stay.
        UnknownVersion: the registry has it no more.
        RegistryUnavailable: MLflow went away; `reconcile` settles what was begun.
    """
    with moving(conn, use_case):
        settle_intents(conn, registry, use_case)
        tried = _tried(conn, use_case, only)
        aliases = registry.aliases(use_case)
        production = aliases.get("production", last_production(conn, use_case))
        if production != tried.against:
            raise ProductionMoved(use_case, tried.against, production)
        registry.version(use_case, tried.version)
        ensure_not_paused(conn, use_case)
        intent = ledger.record(
            conn,
            use_case,
            "intent",
            actor=actor,
            reason=reason,
            from_version=production,
            to_version=tried.version,
            evidence={**tried.evidence, **(evidence or {}), "aliases": aliases},
            run_id=tried.run_id,
        )
        conn.commit()
        move_aliases(registry, use_case, aliases, production, tried.version)
        ledger.close_intent(conn, ledger.entry(conn, intent), "promoted", reason)
        conn.commit()
    return tried


def agree_alias(conn: psycopg.Connection[Any], registry: AliasMover, use_case: str) -> None:
    """Have the alias say what the ledger does: a process that was killed may have left it otherwise."""
    with moving(conn, use_case):
        tried = find_canary(conn, use_case)
        if tried is None:
            forget_canary(registry, use_case)
        elif registry.alias_version(use_case, "canary") != tried.version:
            registry.set_alias(use_case, "canary", tried.version)


def _tried(conn: psycopg.Connection[Any], use_case: str, only: int | None) -> Canary:
    """What is tried now.

    Raises:
        NoCanary: nothing is, or something else than the row `only` began.
    """
    tried = find_canary(conn, use_case)
    if tried is None or only not in (None, tried.move):
        raise NoCanary(use_case)
    return tried
