"""Production as a retrain finds it: by its alias or by the ledger, from the registry or from a kept copy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg

from flows.context import LoopContext
from flows.retrain.lineage import judged_identities, learned_by
from models.errors import ArtifactDamaged, ArtifactError, ArtifactTooNew, ProbeError, UnknownVersion
from models.production import ledger
from models.production.artifact_digests import vouched_artifact
from models.production.contract import Version
from models.production.incumbent import Incumbent, find_incumbent, problem_without_alias
from models.production.tags import SNAPSHOT_TAG, lineage_tags
from models.retraining.backlog import known_reach
from models.versions.artifact import read_manifest
from models.versions.predictor import Predictor
from store.snapshots.learned import NOTHING_LEARNED, AnyLearned
from store.snapshots.reach import Reach, find_reach


@dataclass(frozen=True)
class Production:
    """What challengers are up against."""

    version: Version | None
    artifact: Path | None
    predictor: Predictor | None
    error: str | None
    """Why it cannot answer, when it exists and cannot."""
    learned: AnyLearned
    """The rows that it has learned from."""
    reach: Reach | None
    """Up to where its snapshot has read the feedback."""
    known: Reach | None
    """The same, together with all that had come by the last rollback, where a version was taken back."""
    original_holdout: frozenset[str] = frozenset()
    """Identities of the rows that the version with the alias `original` was judged on."""
    gone: str | None = None
    """Why it cannot be asked here, though it serves, and what to do."""
    problem: str | None = None
    """What is wrong with it otherwise."""
    was_taken_back: bool = False
    """Whether it was made production by taking back a later version, and none has won since."""

    @property
    def number(self) -> int | None:
        """Its version number."""
        return None if self.version is None else self.version.version


NO_PRODUCTION = Production(None, None, None, None, NOTHING_LEARNED, None, None)


def find_production(context: LoopContext) -> Production:
    """Load production as a server would.

    Production that was deleted in MLflow, or has lost its alias there, is still what serves: it is loaded
    from the copy that is kept here, if there is one.

    Raises:
        RegistryUnavailable: MLflow does not answer; that says nothing of production.
    """
    registry, name = context.registry, context.use_case.name
    with context.connect() as conn:
        incumbent = find_incumbent(conn, registry, name)
        if incumbent is None:
            return NO_PRODUCTION
        loaded = _load(context, conn, incumbent)
        version = _version(context, conn, incumbent.version, loaded.artifact)
        digest = version.tags.get(SNAPSHOT_TAG)
        home = context.settings.home
        original = registry.alias_version(name, "original")
        tags = version.tags if original is None else ledger.tags_of(conn, registry, name, original)
        return replace(
            loaded,
            version=version,
            learned=learned_by(conn, registry, version, context.use_case, home),
            reach=None if digest is None else find_reach(conn, [digest]),
            known=known_reach(conn, name, digest),
            original_holdout=judged_identities(conn, context.use_case, home, tags),
            was_taken_back=bool(ledger.taken_back(conn, name)),
        )


def _load(context: LoopContext, conn: psycopg.Connection[Any], incumbent: Incumbent) -> Production:
    """Production as far as it can be had."""
    name, number = context.use_case.name, incumbent.version
    try:
        artifact = vouched_artifact(
            conn, context.registry, name, number, context.model_cache, actor="retrain"
        )
        predictor = Predictor.load(artifact)
        predictor.check_probe()
    except UnknownVersion:
        return replace(NO_PRODUCTION, gone=_gone(name, number))
    except ArtifactDamaged as damage:
        return replace(NO_PRODUCTION, error=str(damage))
    except (ArtifactError, ArtifactTooNew, ProbeError) as error:
        return replace(NO_PRODUCTION, gone=_unusable(name, number, error))
    problem = None if incumbent.has_alias else problem_without_alias(context.registry, name, number)
    return replace(NO_PRODUCTION, artifact=artifact, predictor=predictor, problem=problem)


def _version(
    context: LoopContext, conn: psycopg.Connection[Any], number: int, artifact: Path | None
) -> Version:
    """What is known of production: by the registry, or by the ledger and its own manifest."""
    name = context.use_case.name
    try:
        return context.registry.version(name, number)
    except UnknownVersion:
        tags = ledger.known_tags(conn, name, number)
    if tags is None:
        tags = {} if artifact is None else lineage_tags(read_manifest(artifact))
    return Version(name, number, "", tags, (), 0)


def _unusable(use_case: str, version: int, error: Exception) -> str:
    return (
        f"version {version} of '{use_case}' is production and what was registered, but does not work on this "
        f"machine: {error}; where it was made or is served it may, so there is nothing to compare with here; "
        f"install what it was made with, or `ratchet rollback {use_case} --to V`"
    )


def _gone(use_case: str, version: int) -> str:
    return (
        f"version {version} of '{use_case}' is production by the ledger, but was deleted in MLflow, and no "
        f"copy is kept here: there is nothing to compare with; `ratchet rollback {use_case} --to V` makes a "
        "registered version production, this one too"
    )
