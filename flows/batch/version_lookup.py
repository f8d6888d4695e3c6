"""The version that a command is about, on this machine, as the ledger knows it."""

from __future__ import annotations

from pathlib import Path

from configs.settings import Settings
from models.errors import NoProduction
from models.production.artifact_digests import vouched_artifact
from models.production.incumbent import find_incumbent
from models.production.registry_rest import open_registry
from models.versions.cache import model_cache
from store.database.connection import connect, database_url


def find_vouched(settings: Settings, use_case: str, version: int | None) -> tuple[int, Path]:
    """Number and directory of a version; None: of production, also where that has lost its alias.

    Raises:
        NoProduction: there is none.
        ArtifactDamaged: the version is not what was registered.
        UnknownVersion: it is not kept here, and the registry has none of that number.
    """
    registry, cache = open_registry(settings.mlflow_uri), model_cache(settings.home)
    with connect(database_url(settings)) as conn:
        if version is None:
            incumbent = find_incumbent(conn, registry, use_case)
            if incumbent is None:
                raise NoProduction(use_case)
            version = incumbent.version
        return version, vouched_artifact(conn, registry, use_case, version, cache, actor="command")
