"""What is asked of a model registry; who moves, reads or downloads names only what it needs.

Every method may raise `RegistryUnavailable`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NewType, Protocol

GREATEST_VERSION = 2**31 - 1
"""MLflow keeps version numbers in 32 bits, and its database fails at others."""
LinkAlias = NewType("LinkAlias", str)
"""Names the version behind a link of a chain that is made by a challenger of its own."""
Alias = Literal["production", "previous", "challenger", "original", "canary"] | LinkAlias


def link_alias(challenger: str) -> LinkAlias:
    """The alias of the version that answers as the link of this challenger.

    >>> link_alias("meaning")
    'link-meaning'
    """
    return LinkAlias(f"link-{challenger}")


@dataclass(frozen=True)
class Version:
    """One registered version."""

    use_case: str
    version: int
    run_id: str
    tags: Mapping[str, str]
    aliases: tuple[str, ...]
    created_ms: int


@dataclass(frozen=True)
class RunFacts:
    """What an MLflow run holds."""

    experiment_id: str
    metrics: Mapping[str, float]
    """Last value of each."""


class AliasReader(Protocol):
    """Knows which version an alias names."""

    def alias_version(self, use_case: str, alias: Alias) -> int | None:
        """Version that `alias` names; None when there is no such model or alias."""


class AliasMover(AliasReader, Protocol):
    """Moves aliases."""

    def aliases(self, use_case: str) -> dict[str, int]:
        """All aliases of the model and the versions they name."""

    def set_alias(self, use_case: str, alias: Alias, version: int) -> None:
        """Point `alias` at `version`; raises `UnknownVersion`."""

    def delete_alias(self, use_case: str, alias: Alias) -> None:
        """Remove `alias` from the model."""


class VersionReader(Protocol):
    """Knows each version by its number."""

    def version(self, use_case: str, version: int) -> Version:
        """What is known of one version; raises `UnknownVersion`."""


class ArtifactSource(Protocol):
    """Has the files of versions."""

    def download(self, use_case: str, version: int, cache_dir: Path, digest: str | None = None) -> Path:
        """Directory with the artifact of a version, whole; raises `ArtifactDamaged`, `UnknownVersion`.

        Args:
            digest: what the ledger knows the version by; None: the manifest is believed.
        """


class VersionMover(AliasMover, VersionReader, Protocol):
    """Moves aliases, to versions that are there."""


class RollbackRegistry(VersionMover, ArtifactSource, Protocol):
    """What going back needs."""


class RegistryReader(AliasReader, VersionReader, ArtifactSource, Protocol):
    """All that can be read of versions and of the runs that made them."""

    def versions(self, use_case: str) -> list[Version]:
        """Every version, oldest first; none where there is no such model."""

    def metrics(self, run_id: str) -> dict[str, float]:
        """Last value of every metric of an MLflow run."""

    def run(self, run_id: str) -> RunFacts | None:
        """What an MLflow run holds; None when there is no such run."""

    def artifact(self, run_id: str, path: str) -> bytes | None:
        """A file that an MLflow run keeps; None when there is no such run or file."""


class RegistryClient(RegistryReader, AliasMover, Protocol):
    """Reads all that, and moves aliases: what `open_registry` opens."""
