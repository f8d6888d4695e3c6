"""Delete old versions: in the registry, their artifacts, and the copies on this machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterable

from flows.context import LoopContext
from models.production import ledger
from models.production.contract import Version
from models.production.incumbent import last_production
from models.production.promotion import moving
from models.versions.cache import cached_artifact

ACTOR = "pruning"


def prune_versions(context: LoopContext) -> list[int]:
    """Keep the newest `retrain.keep_versions` and what an alias names, and return the numbers deleted.

    No alias moves meanwhile, so nobody can go back to what is being deleted. The ledger keeps the tags
    of each, for the lineage of versions that were made from it. Metrics stay in MLflow's runs.
    """
    name, keep = context.use_case.name, context.use_case.retrain.keep_versions
    with context.connect() as conn, moving(conn, name):
        old = prunable(context.registry.versions(name), keep, last_production(conn, name))
        for version in old:
            context.registry.delete(version)
            ledger.record(
                conn,
                name,
                "pruned",
                actor=ACTOR,
                reason=f"older than the newest {keep} versions, and no alias names it",
                from_version=version.version,
                evidence={"tags": dict(version.tags), "mlflow_run": version.run_id},
            )
            conn.commit()
            shutil.rmtree(cached_artifact(context.model_cache, name, version.version), ignore_errors=True)
    return [version.version for version in old]


def prunable(versions: Iterable[Version], keep: int, production: int | None = None) -> list[Version]:
    """All but the newest `keep`, those that an alias names, and production; the oldest first.

    Args:
        production: as the ledger knows it, which may have lost its alias.
    """
    newest_first = sorted(versions, key=lambda one: one.version, reverse=True)
    return [one for one in reversed(newest_first[keep:]) if not one.aliases and one.version != production]
