"""Delete old versions: in the registry, their artifacts, and the copies on this machine."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable
from typing import Any

import psycopg

from configs.schema.use_case import UseCase
from flows.context import LoopContext
from models.production import ledger
from models.production.contract import Version
from models.production.incumbent import last_production
from models.production.promotion import moving
from models.versions.cache import cached_artifact
from store.shadows import kept_shadows

ACTOR = "pruning"


def prune_versions(context: LoopContext) -> list[int]:
    """Keep the newest `retrain.keep_versions` and those that are needed, and return the numbers deleted.

    No alias moves meanwhile, so nobody can go back to what is being deleted. The ledger keeps the tags
    of each, for the lineage of versions that were made from it. Metrics stay in MLflow's runs.
    """
    name, keep = context.use_case.name, context.use_case.retrain.keep_versions
    with context.connect() as conn, moving(conn, name):
        old = prunable(context.registry.versions(name), keep, needed_versions(conn, context.use_case))
        for version in old:
            context.registry.delete(version)
            ledger.record(
                conn,
                name,
                "pruned",
                actor=ACTOR,
                reason=f"older than the newest {keep} versions, and neither named by an alias nor scored",
                from_version=version.version,
                evidence={"tags": dict(version.tags), "mlflow_run": version.run_id},
            )
            conn.commit()
            shutil.rmtree(cached_artifact(context.model_cache, name, version.version), ignore_errors=True)
    return [version.version for version in old]


def needed_versions(conn: psycopg.Connection[Any], use_case: UseCase) -> set[int]:
    """Versions that stay without an alias: production, which may have lost its own, and those still scored.

    What the gate knows of a recipe comes from its challengers, and where their copies are not (a second
    worker, a new home) from what MLflow keeps of them.
    """
    production = last_production(conn, use_case.name)
    scored = kept_shadows(conn, use_case.name, use_case.gate.shadows.keep)
    return {version for version in (production, *(one.version for one in scored)) if version is not None}


def prunable(versions: Iterable[Version], keep: int, needed: Collection[int] = ()) -> list[Version]:
    """All but the newest `keep`, those that an alias names, and those needed; the oldest first."""
    newest_first = sorted(versions, key=lambda one: one.version, reverse=True)
    return [one for one in reversed(newest_first[keep:]) if not one.aliases and one.version not in needed]
