"""What is tried on a share of the requests: the worker looks at it as labels come and its time runs out."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping

from configs.schema import UseCase
from configs.settings import Settings
from models.canary.moves import agree_alias
from models.canary.standing import find_canary
from models.errors import ModelError, RegistryUnavailable
from models.production.registry import Registry
from models.production.registry_rest import open_registry
from store.database.connection import connect, database_url
from store.errors import HistoryError, SnapshotError, StorageError

log = logging.getLogger("prefect.worker.ratchet")


def follow_canaries(settings: Settings, use_cases: Mapping[str, UseCase]) -> None:
    """Look at each canary where that is due; one that cannot be looked at is left to the next round."""
    url = database_url(settings)
    with connect(url, autocommit=True) as conn:
        tried = [name for name in use_cases if find_canary(conn, name) is not None]
    if not tried:
        return
    from flows.canary.looking import look_if_due  # loads models: only a look needs that
    from flows.context import LoopContext

    for name in tried:
        context = LoopContext(settings, use_cases[name], url, Registry(settings.mlflow_uri))
        try:
            look_if_due(context)
        except (ModelError, SnapshotError, HistoryError, StorageError, OSError) as error:
            log.warning("the canary of %s cannot be looked at now: %s", name, error)


def agree_aliases(settings: Settings, use_cases: Collection[str]) -> bool:
    """Have the aliases `canary` say what the ledger does; returns whether MLflow answered."""
    registry = open_registry(settings.mlflow_uri)  # which, other than MLflow's client, gives up soon
    with connect(database_url(settings)) as conn:
        for name in use_cases:
            try:
                agree_alias(conn, registry, name)
            except RegistryUnavailable:
                return False
            except ModelError as error:
                log.warning("the aliases of %s cannot be looked at: %s", name, error)
    return True
