"""What answers as each link that a challenger makes, as a retrain finds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import psycopg

from flows.context import LoopContext
from flows.retrain.lineage import learned_by
from flows.retrain.production import NO_PRODUCTION, Production
from models.errors import ArtifactDamaged, ArtifactError, ArtifactTooNew, ProbeError, UnknownVersion
from models.production.artifact_digests import vouched_artifact
from models.production.contract import link_alias
from models.versions.predictor import Predictor
from store.snapshots.learned import AnyLearned


def find_links(context: LoopContext) -> dict[str, Production]:
    """By challenger, the version that its link has now, with its `error`, or why it is `gone`, if so.

    Raises:
        RegistryUnavailable: MLflow does not answer.
    """
    with context.connect() as conn:
        return {one.name: _find(context, conn, one.name) for one in context.use_case.link_challengers}


def learned_by_any(production: Production, links: Mapping[str, Production]) -> AnyLearned:
    """Rows that production or a link has learned from; none of them may be judged on."""
    learned = production.learned
    for one in links.values():
        learned |= one.learned
    return learned


def _find(context: LoopContext, conn: psycopg.Connection[object], challenger: str) -> Production:
    registry, name = context.registry, context.use_case.name
    number = registry.alias_version(name, link_alias(challenger))
    if number is None:
        return NO_PRODUCTION
    try:
        version = registry.version(name, number)
        learned = learned_by(conn, registry, version, context.use_case, context.settings.home)
        found = replace(NO_PRODUCTION, version=version, learned=learned)
    except UnknownVersion:  # deleted since the alias was read
        return NO_PRODUCTION
    try:
        artifact = vouched_artifact(conn, registry, name, number, context.model_cache, actor="retrain")
        predictor = Predictor.load(artifact)
        predictor.check_probe()
    except (ArtifactDamaged, UnknownVersion) as error:
        return replace(found, error=str(error))
    except (ArtifactError, ArtifactTooNew, ProbeError) as error:
        return replace(found, gone=_unusable(name, number, challenger, error))
    return replace(found, artifact=artifact, predictor=predictor)


def _unusable(use_case: str, version: int, challenger: str, error: Exception) -> str:
    return (
        f"version {version} of '{use_case}' answers as the link of '{challenger}' and is what was "
        f"registered, but does not work on this machine: {error}; where it was made or is served it may, so "
        "there is nothing to compare with here; install what it was made with, or have "
        f"`{link_alias(challenger)}` name another version in MLflow"
    )
