"""Go back: production becomes the version that it was before, or one that a person names.

Going back twice goes back two steps: `previous` then names what was production before the version
gone back to, never the one gone back from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from models.errors import (
    AlreadyProduction,
    NoProduction,
    NothingBefore,
    ProductionMoved,
    UnknownVersion,
    VersionDeleted,
)
from models.production import ledger
from models.production.artifact_digests import vouched_artifact
from models.production.contract import RollbackRegistry
from models.production.incumbent import last_production
from models.production.promotion import ensure_not_paused, forget_canary, moving, settle_intents
from models.production.tags import SNAPSHOT_TAG


@dataclass(frozen=True)
class Rollback:
    """A move back that was made."""

    from_version: int
    to_version: int
    actor: str
    reason: str


def roll_back(
    conn: psycopg.Connection[Any],
    registry: RollbackRegistry,
    use_case: str,
    *,
    to: int | None,
    actor: str,
    reason: str,
    cache_dir: Path,
    only_from: int | None = None,
    evidence: Mapping[str, Any] | None = None,
) -> Rollback:
    """Make `to` (default: the version before) production again, and tell every server.

    Nothing moves to a version whose bytes are not those that were registered. Production that has lost its
    alias can be gone back from, and back to.

    The version gone back from stays registered. What it learned from no longer counts as new, so that
    no retrain makes the same again by itself (`models.retraining.backlog`); challengers of later labels
    may win.

    Args:
        cache_dir: where this machine keeps versions.
        only_from: what is gone back from, where nobody has asked for it but evidence; None: whatever serves.
        evidence: for the ledger.

    Raises:
        NoProduction: there is nothing to go back from.
        ProductionMoved: production is not `only_from`.
        PromotionPaused: nobody has asked for it, and a person wants production to stay.
        NothingBefore: no version before is known, or `to` is production already.
        UnknownVersion: the registry has no version `to`; `VersionDeleted`: it has it no more.
        ArtifactDamaged: its bytes are not those that were registered.
        RegistryUnavailable: MLflow went away; `reconcile` settles what was begun.
    """
    with moving(conn, use_case):
        settle_intents(conn, registry, use_case)
        aliases = registry.aliases(use_case)
        production = aliases.get("production", last_production(conn, use_case))
        if production is None:
            raise NoProduction(use_case)
        if only_from is not None:
            _ensure_unattended(conn, use_case, production, only_from)
        target = _target(conn, registry, use_case, aliases, production, to)
        vouched_artifact(conn, registry, use_case, target, cache_dir, actor=actor)
        rollback = Rollback(production, target, actor, reason)
        intent = _write_intent(conn, registry, use_case, aliases, rollback, evidence or {})
        _move_back(conn, registry, use_case, production, target)
        ledger.close_intent(conn, ledger.entry(conn, intent), "rolled_back", reason)
        conn.commit()
    return rollback


def _ensure_unattended(conn: psycopg.Connection[Any], use_case: str, production: int, only_from: int) -> None:
    """Nobody has moved production meanwhile, and nobody wants it to stay."""
    if production != only_from:
        raise ProductionMoved(use_case, only_from, production)
    ensure_not_paused(conn, use_case)


def _target(
    conn: psycopg.Connection[Any],
    registry: RollbackRegistry,
    use_case: str,
    aliases: Mapping[str, int],
    production: int,
    to: int | None,
) -> int:
    """The version to go back to, which the registry has."""
    if to is None:
        return _version_before(conn, registry, use_case, aliases, production)
    if to == aliases.get("production"):
        raise AlreadyProduction(use_case, production)
    try:
        registry.version(use_case, to)
    except UnknownVersion as unknown:
        if ledger.known_tags(conn, use_case, to) is None:
            raise
        raise VersionDeleted(use_case, to) from unknown
    return to


def _version_before(
    conn: psycopg.Connection[Any],
    registry: RollbackRegistry,
    use_case: str,
    aliases: Mapping[str, int],
    production: int,
) -> int:
    """What `previous` names or, where people have moved that to nowhere, what the ledger knows."""
    for version in (aliases.get("previous"), ledger.before(conn, use_case, production)):
        if version not in (None, production) and _exists(registry, use_case, version):
            return version
    raise NothingBefore(use_case, production)


def _write_intent(
    conn: psycopg.Connection[Any],
    registry: RollbackRegistry,
    use_case: str,
    aliases: Mapping[str, int],
    rollback: Rollback,
    told: Mapping[str, Any],
) -> int:
    """Write down what is about to move, before any alias does, and return the ledger's row."""
    production, target = rollback.from_version, rollback.to_version
    evidence = {
        **told,
        "move": "rolled_back",
        "aliases": aliases,
        "snapshot": None if target == production else _snapshot(registry, use_case, production),
    }
    intent = ledger.record(
        conn,
        use_case,
        "intent",
        actor=rollback.actor,
        reason=rollback.reason,
        from_version=production,
        to_version=target,
        evidence=evidence,
    )
    conn.commit()
    return intent


def _move_back(
    conn: psycopg.Connection[Any], registry: RollbackRegistry, use_case: str, production: int, target: int
) -> None:
    """Point `production` at the target, and `previous` at what was production before it won."""
    has_served = ledger.was_production(conn, use_case, target)
    before = ledger.before(conn, use_case, target) if has_served else production
    if before is not None and _exists(registry, use_case, before):
        registry.set_alias(use_case, "previous", before)
    elif "previous" in registry.aliases(use_case):
        registry.delete_alias(use_case, "previous")
    registry.set_alias(use_case, "production", target)
    forget_canary(registry, use_case)


def _exists(registry: RollbackRegistry, use_case: str, version: int) -> bool:
    try:
        registry.version(use_case, version)
    except UnknownVersion:
        return False
    return True


def _snapshot(registry: RollbackRegistry, use_case: str, version: int) -> str | None:
    try:
        return registry.version(use_case, version).tags.get(SNAPSHOT_TAG)
    except UnknownVersion:  # deleted by hand; going back from it is all the more wanted
        return None
