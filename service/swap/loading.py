"""Making a version ready to serve, and remembering which one did."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from models.errors import ArtifactError, UnknownVersion
from models.production import ledger
from models.production.artifact_digests import registered_digest, vouched_artifact
from models.production.contract import RegistryReader
from models.production.incumbent import problem_without_alias
from models.versions.artifact import artifact_digest
from models.versions.cache import cached_artifact, find_cached
from models.versions.predictor import Predictor
from service.answers.pipeline import SharedResources
from service.answers.slot import ServedVersion, VersionFacts
from service.errors import DatabaseAway
from service.storage.database import Database
from service.swap.quick_turns import quick_turns
from service.watchdog.activity import IDLE, LOADING, WORDS
from service.watchdog.dead_workers import note_crashes
from service.watchdog.first_load import LoadHangs, Loads, VersionUnfit, load_first
from service.watchdog.troubles import HANG, Trouble, Troubles

log = logging.getLogger("ratchet.service")
ACTOR = "service"
"""Who it was, in the ledger."""


class Loader:
    """Makes a version ready to serve."""

    def __init__(
        self,
        reader: RegistryReader,
        cache_dir: Path,
        shared: SharedResources,
        database: Database,
        troubles: Troubles,
    ) -> None:
        self._reader = reader
        self._cache = cache_dir
        self._shared = shared
        self._database = database
        self._troubles = troubles
        self._loads = Loads()
        self._unnoted: set[str] = set()
        """Use cases of which it could not be noted what serves."""

    def load(self, use_case: str, version: int) -> ServedVersion:
        """Fetch, load, and prove a version against the answers recorded when it was made.

        What the registry says of it besides is not waited for: `complete` adds it once it serves.

        Raises:
            RegistryUnavailable: it is not here and cannot be fetched now.
            ModelError: it is not fit to serve.
        """
        return self._served_version(use_case, version, self.predictor(use_case, version), VersionFacts())

    def load_canary(self, use_case: str, version: int) -> ServedVersion:
        """The same for a version that is tried: where it hangs, nobody else waits."""
        return ServedVersion(
            use_case,
            version,
            self.predictor(use_case, version),
            VersionFacts(),
            self._shared,
            datetime.now(UTC),
            isolated=True,
        )

    def predictor(self, use_case: str, version: int) -> Predictor:
        """Fetch, load, and prove a version that the ledger vouches for; raises as `load` does.

        With the database away, one that the ledger vouched for when it served here last, or one that
        nothing is known of: that is looked at again when the database is back.
        """
        reader, cache = self._reader, self._cache
        try:
            artifact = self._database.run(
                lambda conn: vouched_artifact(conn, reader, use_case, version, cache, actor=ACTOR)
            )
        except DatabaseAway:
            artifact = reader.download(use_case, version, cache, self._remembered(use_case, version))
        return self._prove(use_case, version, artifact)

    def digest(self, use_case: str, version: int) -> str | None:
        """What the ledger knows a version by; with the database away, what it knew when it served here last.

        Raises:
            DatabaseAway: the ledger cannot be asked, and it did not serve here last.
        """
        try:
            return self._database.read(lambda conn: registered_digest(conn, use_case, version))
        except DatabaseAway:
            if (remembered := self._remembered(use_case, version)) is not None:
                return remembered
            raise

    def digests(self, versions: Mapping[str, int]) -> Mapping[str, str | None]:
        """What the ledger knows a version of each use case by; with the database away, what it knew."""
        try:
            return self._database.run(
                lambda conn: {name: registered_digest(conn, name, one) for name, one in versions.items()}
            )
        except DatabaseAway:
            return {name: self._remembered(name, one) for name, one in versions.items()}

    def served_before(self, use_case: str) -> Sequence[int]:
        """Versions that have been production, the newest move first; none with the database away."""
        try:
            return self._database.read(lambda conn: ledger.productions(conn, use_case))
        except DatabaseAway:
            return ()

    def problem_of(self, use_case: str, version: int) -> str:
        """What is wrong with production that no alias names.

        Raises:
            RegistryUnavailable: whether it was deleted cannot be asked now.
        """
        return problem_without_alias(self._reader, use_case, version)

    def did_harm(self, use_case: str, version: int) -> bool:
        """Whether it is held against a version that it hung, failed or killed workers of this home."""
        return self._troubles.reason(use_case, version) is not None

    def complete(self, served: ServedVersion) -> None:
        """Add what the registry says of a version, where that is not known yet, and note what is not noted.

        Raises:
            RegistryUnavailable: it is not to be had now.
        """
        if served.facts.run_id is None:
            served.facts = self._facts(served.name, served.version)
        elif served.name not in self._unnoted:
            return
        self.remember(served)

    def load_cached(self, use_case: str, version: int, digest: str | None) -> ServedVersion:
        """Load a version that this machine served before, without asking the registry.

        Args:
            digest: what the ledger knows it by; None: nobody knows, and its manifest is believed.

        Raises:
            ModelError: no whole copy is here any more, or it is not fit to serve.
        """
        facts = VersionFacts(**_read_state(self.state_file(use_case)).get("facts", {}))
        artifact = find_cached(self._cache, use_case, version, digest)
        if artifact is None:
            raise ArtifactError(cached_artifact(self._cache, use_case, version), "no whole copy is here")
        return self._served_version(use_case, version, self._prove(use_case, version, artifact), facts)

    def last_served(self, use_case: str) -> int | None:
        """Version that this machine served last."""
        version = _read_state(self.state_file(use_case)).get("version")
        return version if isinstance(version, int) else None

    def _remembered(self, use_case: str, version: int) -> str | None:
        """What the version was known by when it served here last."""
        state = _read_state(self.state_file(use_case))
        digest = state.get("digest") if state.get("version") == version else None
        return digest if isinstance(digest, str) else None

    def remember(self, served: ServedVersion) -> None:
        """Note what serves, for a start without the registry; where a disk is full `complete` tries again."""
        path = self.state_file(served.name)
        facts = {
            "run_id": served.facts.run_id,
            "tags": dict(served.facts.tags),
            "metrics": dict(served.facts.metrics),
        }
        noted = {"version": served.version, "digest": served.predictor.digest, "facts": facts}
        draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
        try:
            draft.write_text(json.dumps(noted), encoding="utf-8")
            draft.replace(path)
        except OSError as error:
            if served.name not in self._unnoted:
                log.warning("which version of %s serves cannot be noted: %s", served.name, error)
            self._unnoted.add(served.name)
        else:
            self._unnoted.discard(served.name)

    def state_file(self, use_case: str) -> Path:
        """Where it is noted."""
        return self._cache / use_case / "serving.json"

    def _facts(self, use_case: str, version: int) -> VersionFacts:
        try:
            registered = self._reader.version(use_case, version)
        except UnknownVersion:  # it serves all the same; its entry was deleted
            return VersionFacts(run_id="")
        metrics = self._reader.metrics(registered.run_id) if registered.run_id else {}
        return VersionFacts(registered.run_id, registered.tags, metrics)

    def _prove(self, use_case: str, version: int, artifact: Path) -> Predictor:
        """Load a version, in one worker of this home before the others, unless it did harm here.

        Raises:
            VersionUnfit: it did.
            LoadGoesOn: loading it takes long.
            LoadHangs: loading it does not come to an end.
        """

        name = f"{version} {artifact_digest(artifact)}"

        def load() -> Predictor:
            note_crashes(self._shared.marks.folder, self._troubles)
            if (reason := self._troubles.reason(use_case, version)) is not None:
                raise VersionUnfit(reason)
            with quick_turns():
                return self._loads.result(use_case, name, lambda: _load_proved(artifact))

        mark = self._shared.marks.begin(LOADING, use_case, version)
        try:
            return load_first(self._cache / use_case / "loaded", name, load)
        except LoadHangs as error:
            self._troubles.add(Trouble(use_case, version, HANG, WORDS[LOADING], time.time(), str(error)))
            raise
        finally:
            mark[0] = IDLE

    def _served_version(
        self, use_case: str, version: int, predictor: Predictor, facts: VersionFacts
    ) -> ServedVersion:
        return ServedVersion(use_case, version, predictor, facts, self._shared, datetime.now(UTC))


def _load_proved(directory: Path) -> Predictor:
    predictor = Predictor.load(directory)
    predictor.check_probe()
    return predictor


def _read_state(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
