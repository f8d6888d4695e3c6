"""Copies of versions on this machine: one that is whole is used, one that is damaged is fetched again."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from models.errors import ArtifactDamaged, ArtifactError
from models.versions.artifact import artifact_digest, listed_files, read_manifest, unlisted_files


def model_cache(home: Path) -> Path:
    """The folder of a home in which versions are kept."""
    return home / "cache" / "models"


def cached_artifact(cache_dir: Path, use_case: str, version: int) -> Path:
    """Where the artifact of a version is kept on this machine."""
    return cache_dir / use_case / str(version)


def find_cached(cache_dir: Path, use_case: str, version: int, digest: str | None) -> Path | None:
    """The copy of a version on this machine if there is a whole one; one that is not is thrown away.

    Args:
        digest: what the ledger knows the version by; None: it knows nothing, and the manifest is believed.
    """
    target = cached_artifact(cache_dir, use_case, version)
    if not target.is_dir():
        return None
    try:
        check_artifact(target, digest)
    except ArtifactError:  # damaged on this disk, or of a model that was deleted since
        _discard(target)
        return None
    return target


def fetch_artifact(
    cache_dir: Path, use_case: str, version: int, digest: str | None, fetch: Callable[[Path], Path]
) -> Path:
    """The copy of a version on this machine, fetched where there is no whole one.

    Args:
        digest: what the ledger knows the version by, if it does.
        fetch: puts what the registry has into an empty folder, and returns where in it the artifact is.

    Raises:
        ArtifactDamaged: what the registry has is not what was registered.
    """
    if (cached := find_cached(cache_dir, use_case, version, digest)) is not None:
        return cached
    target = cached_artifact(cache_dir, use_case, version)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".incoming-") as incoming:
        fetched = Path(incoming)
        try:
            fetched = fetch(fetched)
            _remove_unlisted(fetched)
            check_artifact(fetched, digest)
        except ArtifactError as error:
            fetched_digest = _digest_of(fetched)
            raise ArtifactDamaged(
                use_case, version, error.reason, expected=digest, actual=fetched_digest
            ) from error
        _install(fetched, target)
    return target


def add_to_cache(artifact: Path, cache_dir: Path, use_case: str, version: int) -> None:
    """Copy an artifact made on this machine into the cache, so that its servers need not download it."""
    if find_cached(cache_dir, use_case, version, artifact_digest(artifact)) is not None:
        return
    target = cached_artifact(cache_dir, use_case, version)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".incoming-") as incoming:
        copy = Path(incoming) / "artifact"
        shutil.copytree(artifact, copy)
        _install(copy, target)


def check_artifact(directory: Path, digest: str | None) -> None:
    """Check that a directory holds a whole version, with the digest that the ledger knows where it does.

    Raises:
        ArtifactError: it does not.
        CannotLoadNow, OSError: that cannot be told now, for what the machine lacks.
    """
    if digest is not None and artifact_digest(directory) != digest:
        raise ArtifactError(directory, "its manifest is not the one that was registered")
    read_manifest(directory)


def _remove_unlisted(fetched: Path) -> None:
    """Remove files that the manifest does not name, so that nothing can load them."""
    for name in unlisted_files(fetched, listed_files(fetched)):
        (fetched / name).unlink()


def _digest_of(directory: Path) -> str | None:
    try:
        return artifact_digest(directory)
    except ArtifactError:
        return None


def _discard(target: Path) -> None:
    """Remove a copy, renaming it first so that no process finds half of it."""
    with tempfile.TemporaryDirectory(
        dir=target.parent, prefix=".damaged-", ignore_cleanup_errors=True
    ) as trash:
        try:
            target.rename(Path(trash) / "artifact")
        except FileNotFoundError:  # another process was first
            return


def _install(source: Path, target: Path) -> None:
    """Rename into place; another process may have been first, with the same content."""
    try:
        source.rename(target)
    except OSError:
        if not target.is_dir():
            raise
