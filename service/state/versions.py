"""What GET /v1/{use_case}/versions shows: the registered versions, with addresses in MLflow and Prefect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
"""Default and maximum of `limit`."""
_KEPT_RUNS = 2000
COPIED_TAGS = ("verdict", "outcome", "reason", "trigger", "challenger", "fit", "snapshot", "run")
"""Tags, without their prefix, whose values are copied into a description."""


class VersionHistory:
    """Describes versions; its methods block, and run in a thread."""

    def __init__(self, settings: Settings, reader: RegistryReader, database: Database) -> None:
        self._addresses = Addresses(settings.mlflow_uri, settings.prefect_url)
        self._reader = reader
        self._database = database
        self._runs: dict[str, RunFacts] = {}
        """By id; runs of versions have ended and change no more, so they are read once."""

    def describe(self, use_case: str, limit: int) -> bytes:
        """The newest `limit` versions, newest first, as JSON.

        Raises:
            RegistryAway: MLflow does not answer.
            DatabaseAway: the database does not answer.
        """
        try:
            newest = self._reader.versions(use_case)[::-1][:limit]
            facts = {version.version: self._run_facts(version.run_id) for version in newest}
        except RegistryUnavailable as error:
            raise RegistryAway(str(error)) from error
        retrains = self._database.read(lambda conn: _find_retrains(conn, newest))
        production = next((version for version in newest if "production" in version.aliases), None)
        versions = [
            _describe(version, facts[version.version])
            | {"links": self._links(use_case, version, production, facts, retrains.get(version.version))}
            for version in newest
        ]
        links = {
            "mlflow_model": self._addresses.model(use_case),
            "mlflow_compare": self._addresses.compare(newest, facts),
        }
        return orjson.dumps({"use_case": use_case, "versions": versions, "links": links})

    def _links(
        self,
        use_case: str,
        version: Version,
        production: Version | None,
        facts: Mapping[int, RunFacts | None],
        retrain: Run | None,
    ) -> dict[str, str | None]:
        is_comparable = production is not None and production != version
        return {
            "mlflow_run": self._addresses.run(version, facts[version.version]),
            "mlflow_compare": self._addresses.compare([production, version], facts)
            if is_comparable
            else None,
            "mlflow_model": self._addresses.model(use_case, version.version),
            "prefect_run": self._addresses.flow_run(retrain),
        }

    def _run_facts(self, run_id: str) -> RunFacts | None:
        if run_id in self._runs or not run_id:
            return self._runs.get(run_id)
        facts = self._reader.run(run_id)
        if facts is not None:
            if len(self._runs) >= _KEPT_RUNS:
                self._runs.clear()
            self._runs[run_id] = facts
        return facts


def _find_retrains(conn: psycopg.Connection[Any], versions: Sequence[Version]) -> dict[int, Run]:
    """Version to the retrain that made it, for those whose tags name one."""
    runs = {version.version: find_run(conn, version.tags.get(RUN_TAG, "")) for version in versions}
    return {number: run for number, run in runs.items() if run is not None}


def _describe(version: Version, facts: RunFacts | None) -> dict[str, Any]:
    parent = version.tags.get(PARENT_TAG, "")
    metrics = {} if facts is None else facts.metrics
    return {
        "version": version.version,
        "aliases": sorted(version.aliases),
        "created_at": datetime.fromtimestamp(version.created_ms / 1000, UTC).isoformat(),
        "run_id": version.run_id or None,
        "metrics": {name: value for name, value in metrics.items() if isfinite(value)},
        **{key: version.tags.get(PREFIX + key) for key in COPIED_TAGS},
        "parent": int(parent) if parent.isascii() and parent.isdigit() else None,
    }
