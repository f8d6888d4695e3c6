"""Where a loop runs: one use case, its database and its registry."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg

from configs.loading import load_selected
from configs.schema import UseCase
from configs.security.umask import set_private_umask
from configs.settings import Settings, read_settings
from flows.work_folders import work_folder
from models.production.contract import RegistryClient
from models.production.registry import Registry
from models.production.registry_rest import open_registry
from models.versions.cache import model_cache
from store.database.connection import connect, database_url
from store.errors import DatabaseUnavailable
from store.objects.contract import Storage
from store.objects.opening import open_storage

PATIENCE = 60.0
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class LoopContext:
    """Everything that the steps of one use case's loop reach for."""

    settings: Settings
    use_case: UseCase
    database_url: str
    registry: Registry
    patience: float = 0.0
    """Seconds that a connection waits for a database that does not answer."""

    @property
    def model_cache(self) -> Path:
        """Where versions are kept on this machine, shared with its servers."""
        return model_cache(self.settings.home)

    @property
    def aliases(self) -> RegistryClient:
        """What looks versions up and moves aliases, without the start that MLflow's library needs."""
        return open_registry(self.registry.tracking_uri)

    @cached_property
    def storage(self) -> Storage:
        """Where what other machines need of this one is kept."""
        return open_storage(self.settings)

    def connect(self) -> psycopg.Connection[Any]:
        """A new connection to Ratchet's database.

        Raises:
            DatabaseUnavailable: it does not answer, for longer than the patience lasts.
        """
        until = time.monotonic() + self.patience
        while True:
            try:
                return connect(self.database_url)
            except DatabaseUnavailable:
                if time.monotonic() >= until:
                    raise
                time.sleep(POLL_SECONDS)

    def patient(self) -> LoopContext:
        """The same for one who has more to lose than a minute: servers, and poolers, are started again."""
        return replace(self, patience=PATIENCE)

    @contextmanager
    def workdir(self) -> Iterator[Path]:
        """A folder of one run's own, gone afterwards."""
        with work_folder(self.settings.home / "work", "run") as folder:
            yield folder


def open_context(use_case: str, settings: Settings | None = None) -> LoopContext:
    """The context of a use case, by name.

    Raises:
        UnknownUseCase: no configuration describes it.
        DatabaseUnavailable: nothing tells where the database is.
    """
    set_private_umask()  # a worker of the user's own may run the flow
    settings = settings or read_settings()
    config = load_selected(settings.config_dirs, [use_case])[use_case]
    return LoopContext(settings, config, database_url(settings), Registry(settings.mlflow_uri))
