"""Versions that were promoted: the worker looks at each beside the one before it, as labels come."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from configs.schema import UseCase
from configs.settings import Settings
from models.errors import ModelError, RegistryUnavailable
from models.production.registry import Registry
from store.database.connection import database_url
from store.errors import HistoryError, SnapshotError, StorageError

log = logging.getLogger("prefect.worker.ratchet")


def look_where_due(settings: Settings, use_cases: Mapping[str, UseCase]) -> set[str]:
    """Look at each promoted version that enough labels have come for; returns the names to look at again.

    Those are the ones left unlooked at as MLflow or the storage of the labelled rows is away, or a disk full.
    """
    from flows.context import LoopContext
    from flows.probation.looking import look_if_due  # loads models: only a look needs that

    again = set()
    for name, use_case in use_cases.items():
        context = LoopContext(settings, use_case, database_url(settings), Registry(settings.mlflow_uri))
        try:
            look_if_due(context)
        except (RegistryUnavailable, HistoryError, StorageError, OSError) as error:
            log.warning("whether %s is better than the version before cannot be told now: %s", name, error)
            again.add(name)
        except (ModelError, SnapshotError) as error:
            log.warning("whether %s is better than the version before cannot be told: %s", name, error)
    return again
