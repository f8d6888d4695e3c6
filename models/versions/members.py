"""The native model of a version, loaded: an estimator, or a blend and its members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.estimators.arrays import Features
from models.estimators.blend import load_blend
from models.estimators.catalogue import estimator_class
from models.estimators.contract import Fitted
from models.versions.artifact import NATIVE, Manifest, MemberManifest, read_manifest


def load_native(directory: Path, manifest: Manifest, params: Mapping[str, Any] | None = None) -> Fitted:
    """The native model whole, to go on learning.

    Args:
        directory: the version's.
        manifest: its manifest.
        params: of the estimator, in place of those that it was made with.
    """
    return _load(directory, manifest, manifest.params if params is None else params, manifest.members)


def load_answering(directory: Path, manifest: Manifest) -> Fitted:
    """The native model without the members of a blend that are not asked."""
    answering = [member for member in manifest.members if member.weight > 0]
    return _load(directory, manifest, manifest.params, answering)


def load_members(directory: Path, manifest: Manifest) -> dict[str, Fitted]:
    """All members of a blend by name, those that are not asked too; none where a version is no blend."""
    blend = load_blend(directory / NATIVE, manifest.estimator, manifest.params, manifest.members)
    return {member.name: member.estimator for member in blend.members}


def member_answers(directory: Path, x: Features) -> dict[str, NDArray[np.float32]]:
    """What each member of the version in a directory says; empty where it is no blend.

    Args:
        directory: the version's.
        x: encoded rows, n first.

    Returns:
        Name of the member to probabilities, shape (n, classes), without its weight.

    Raises:
        ArtifactError: files of the version are missing or changed.
    """
    members = load_members(directory, read_manifest(directory))
    return {name: member.predict_proba(x) for name, member in members.items()}


def _load(
    directory: Path, manifest: Manifest, params: Mapping[str, Any], members: Sequence[MemberManifest]
) -> Fitted:
    if members:
        return load_blend(directory / NATIVE, manifest.estimator, params, members)
    return estimator_class(manifest.estimator).load(directory / NATIVE, params)
