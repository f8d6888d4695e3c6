"""What is written down of how a version was made: its artifact, the ledger, its run, earlier periods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from configs.schema import ChallengerConfig, UseCase
from flows.context import LoopContext
from flows.retrain.training.plain import plain_model
from models.errors import ArtifactError, UnknownVersion
from models.production.artifact_digests import registered_digest
from models.production.registry import Registry
from models.provenance.fit_inputs import FitInputs
from models.versions.artifact import Manifest, read_encoder, read_fit, read_manifest, read_use_case
from models.versions.cache import cached_artifact, check_artifact
from store.runs.rows import find_run
from store.shadows import read_periods

OLDER = (
    "an earlier release made it, which did not write down which rows the fit was handed: of them only the "
    "number can be checked",
    "nor by which packages it was fitted, besides those that MLflow requires, nor on which machine",
)


@dataclass(frozen=True)
class Origin:
    """How a version was made, as far as anything says so."""

    version: int
    artifact: Path
    manifest: Manifest
    use_case: UseCase
    """The configuration that it was made with."""
    inputs: FitInputs
    requirements: dict[str, str]
    """Packages at the versions that its MLflow model asks for."""
    unrecorded: tuple[str, ...] = ()
    """What was not written down, and what is taken for it."""

    @property
    def challenger(self) -> ChallengerConfig:
        """What it was made as; its parameters hold the epochs that its run was asked for."""
        name, fit = self.manifest.challenger, self.manifest.fit
        plain = plain_model(self.use_case)
        known = (*self.use_case.training.challengers, *(() if plain is None else (plain,)))
        configured = [one for one in known if (one.name, one.fit) == (name, fit)]
        made = configured[0] if configured else ChallengerConfig(name=name, fit=fit)
        return made.model_copy(update={"params": self.manifest.params})


def find_origin(context: LoopContext, conn: psycopg.Connection[Any], version: int, folder: Path) -> Origin:
    """Everything that is written down of how a version was made; nothing is written.

    Args:
        folder: gets the version's files where this machine has no whole copy.

    Raises:
        UnknownVersion: there is none of that number.
        ArtifactDamaged: it is not what was registered.
    """
    artifact = fetch_version(context, conn, version, folder)
    manifest = read_manifest(artifact)
    inputs = read_fit(artifact)
    unrecorded: tuple[str, ...] = ()
    if inputs is None:
        inputs = _derived(conn, manifest)
        unrecorded = (*OLDER, *_without_run(conn, manifest))
    return Origin(
        version,
        artifact,
        manifest,
        as_it_fitted(read_use_case(artifact), read_encoder(artifact, manifest.kind).to_state()),
        inputs,
        _requirements(context.registry, context.use_case.name, version),
        unrecorded,
    )


def as_it_fitted(use_case: UseCase, encoder_state: Mapping[str, Any]) -> UseCase:
    """The configuration with the fence of its time: without outer bounds no row was left out for them."""
    standard = encoder_state.get("standard", encoder_state)  # beside one of another package
    tabular = standard.get("tabular", standard)
    if "outer_floor" in tabular:
        return use_case
    of_its_time = use_case.features.tabular.model_copy(update={"fence": "clip"})
    return use_case.model_copy(
        update={"features": use_case.features.model_copy(update={"tabular": of_its_time})}
    )


def fetch_version(context: LoopContext, conn: psycopg.Connection[Any], version: int, folder: Path) -> Path:
    """Directory with a version as it was registered: the copy that is kept here, else one in `folder`."""
    name = context.use_case.name
    digest = registered_digest(conn, name, version)
    kept = cached_artifact(context.model_cache, name, version)
    try:
        check_artifact(kept, digest)
    except ArtifactError:  # none here, or a damaged one, which is not ours to throw away
        return context.registry.download(name, version, folder, digest)
    return kept


def _derived(conn: psycopg.Connection[Any], manifest: Manifest) -> FitInputs:
    """What the store and the manifest tell of the fit of a version that has no `fit.json`."""
    name, lineage = manifest.use_case, manifest.lineage
    run = None if lineage.run_id is None else find_run(conn, lineage.run_id)
    warm = manifest.fit == "warm" and lineage.parent_version is not None
    return FitInputs(
        sample_count=None if run is None else run.options.get("sample_count"),
        period_ends=tuple(_ends_before(conn, manifest)),
        weights={one.name: one.weight for one in manifest.members} or None,
        parent_digest=registered_digest(conn, name, lineage.parent_version or 0) if warm else None,
    )


def _ends_before(conn: psycopg.Connection[Any], manifest: Manifest) -> Iterator[int]:
    """Arrivals of the last rows of the periods that ended before the version was made, rising."""
    for period in read_periods(conn, manifest.use_case):
        if period.run_id == manifest.lineage.run_id or period.ended_at > manifest.created_at:
            return
        yield period.last_seq


def _without_run(conn: psycopg.Connection[Any], manifest: Manifest) -> tuple[str, ...]:
    if manifest.lineage.run_id is not None and find_run(conn, manifest.lineage.run_id) is not None:
        return ()
    return ("its run is not in the database any more: that it drew no sample of the rows is supposed",)


def _requirements(registry: Registry, use_case: str, version: int) -> dict[str, str]:
    try:
        return registry.requirements(use_case, version)
    except UnknownVersion:  # deleted in MLflow, and kept here
        return {}
