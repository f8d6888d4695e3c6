"""The registered versions of a use case, to be put side by side, with where to look further."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import Any

import orjson
import psycopg

from configs.settings import Settings
from models.errors import RegistryUnavailable
from models.production.contract import RegistryReader, RunFacts, Version
from models.production.tags import PARENT_TAG, PREFIX, RUN_TAG
from service.errors import RegistryAway
from service.state.addresses import Addresses
from service.storage.database import Database
from store.runs.rows import Run, find_run

VERSIONS = 20
MOST_VERSIONS = 100
_KEPT_RUNS = 2000
COPIED_TAGS = ("verdict", "outcome", "reason", "trigger", "challenger", "fit", "snapshot", "run")
"""Tags, without their prefix, whose values are copied into a description."""


class VersionHistory:
    """Lists versions; its methods block, and run in a thread."""

    def __init__(self, settings: Settings, reader: RegistryReader, database: Database) -> None:
        self._addresses = Addresses(settings.mlflow_uri, settings.prefect_url)
        self._reader = reader
        self._database = database
        self._runs: dict[str, RunFacts] = {}
        """Runs of versions have ended, and change no more."""

    def describe(self, use_case: str, limit: int) -> bytes:
        """The newest versions, newest first.

        Raises:
            RegistryAway: MLflow does not answer.
            DatabaseAway: the database does not answer.
        """
        try:
            newest = self._reader.versions(use_case)[::-1][:limit]
            facts = {version.version: self._run(version.run_id) for version in newest}
        except RegistryUnavailable as error:
            raise RegistryAway(str(error)) from error
        retrains = self._database.run(lambda conn: _retrains(conn, newest))
        production = next((one for one in newest if "production" in one.aliases), None)
        addresses = self._addresses
        links = {
            "mlflow_model": addresses.model(use_case),
            "mlflow_compare": addresses.compare(newest, facts),
        }
        versions = [
            _describe(version, facts[version.version])
            | {
                "links": {
                    "mlflow_run": addresses.run(version, facts[version.version]),
                    "mlflow_compare": None
                    if production in (None, version)
                    else addresses.compare([production, version], facts),
                    "mlflow_model": addresses.model(use_case, version.version),
                    "prefect_run": addresses.flow_run(retrains.get(version.version)),
                }
            }
            for version in newest
        ]
        return orjson.dumps({"use_case": use_case, "versions": versions, "links": links})

    def _run(self, run_id: str) -> RunFacts | None:
        if run_id in self._runs or not run_id:
            return self._runs.get(run_id)
        found = self._reader.run(run_id)
        if found is not None:
            if len(self._runs) >= _KEPT_RUNS:
                self._runs.clear()
            self._runs[run_id] = found
        return found


def _retrains(conn: psycopg.Connection[Any], versions: Sequence[Version]) -> dict[int, Run]:
    found = {one.version: find_run(conn, one.tags.get(RUN_TAG, "")) for one in versions}
    return {version: run for version, run in found.items() if run is not None}


def _describe(version: Version, facts: RunFacts | None) -> dict[str, Any]:
    told = {key: version.tags.get(PREFIX + key) for key in COPIED_TAGS}
    parent = version.tags.get(PARENT_TAG, "")
    metrics = {} if facts is None else facts.metrics
    return {
        "version": version.version,
        "aliases": sorted(version.aliases),
        "created_at": datetime.fromtimestamp(version.created_ms / 1000, UTC).isoformat(),
        "run_id": version.run_id or None,
        "metrics": {name: value for name, value in metrics.items() if isfinite(value)},
        **told,
        "parent": int(parent) if parent.isascii() and parent.isdigit() else None,
    }
