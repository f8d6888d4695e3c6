"""Making a version ready to serve, and remembering which one did."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from models.errors import UnknownVersion
from models.mlflow_rest import RegistryReader
from models.predictor import Predictor
from models.registry import cached_artifact
from service.live import Live, VersionFacts, Workshop


class Loader:
    """Makes a version ready to serve."""

    def __init__(self, reader: RegistryReader, cache_dir: Path, workshop: Workshop) -> None:
        self._reader = reader
        self._cache = cache_dir
        self._workshop = workshop

    def load(self, use_case: str, version: int) -> Live:
        """Fetch, load, and prove a version against the answers recorded when it was made.

        What the registry says of it besides is not waited for: `complete` adds it once it serves.

        Raises:
            RegistryUnavailable: it is not here and cannot be fetched now.
            ModelError: it is not fit to serve.
        """
        directory = self._reader.download(use_case, version, self._cache)
        return self._ready(use_case, version, directory, VersionFacts())

    def complete(self, live: Live) -> None:
        """Add what the registry says of a version, where that is not known yet.

        Raises:
            RegistryUnavailable: it is not to be had now.
        """
        if live.facts.run_id is None:
            live.facts = self._facts(live.name, live.version)
            self.remember(live)

    def load_cached(self, use_case: str, version: int) -> Live:
        """Load a version that this machine served before, without asking the registry.

        Raises:
            ModelError: it is not there any more, or not fit to serve.
        """
        facts = VersionFacts(**_read_state(self.state_file(use_case)).get("facts", {}))
        return self._ready(use_case, version, cached_artifact(self._cache, use_case, version), facts)

    def last_served(self, use_case: str) -> int | None:
        """Version that this machine served last."""
        version = _read_state(self.state_file(use_case)).get("version")
        return version if isinstance(version, int) else None

    def remember(self, live: Live) -> None:
        """Note what serves, for a start without the registry."""
        path = self.state_file(live.name)
        facts = {
            "run_id": live.facts.run_id,
            "tags": dict(live.facts.tags),
            "metrics": dict(live.facts.metrics),
        }
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_text(json.dumps({"version": live.version, "facts": facts}), encoding="utf-8")
        draft.replace(path)

    def state_file(self, use_case: str) -> Path:
        """Where it is noted."""
        return self._cache / use_case / "serving.json"

    def _facts(self, use_case: str, version: int) -> VersionFacts:
        try:
            found = self._reader.version(use_case, version)
        except UnknownVersion:  # it serves all the same; its entry was deleted
            return VersionFacts(run_id="")
        metrics = self._reader.metrics(found.run_id) if found.run_id else {}
        return VersionFacts(found.run_id, found.tags, metrics)

    def _ready(self, use_case: str, version: int, directory: Path, facts: VersionFacts) -> Live:
        predictor = Predictor.load(directory)
        predictor.check_probe()
        return Live(use_case, version, predictor, facts, self._workshop, datetime.now(UTC))


def _read_state(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
