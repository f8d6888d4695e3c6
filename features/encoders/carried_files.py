"""Files that an encoder needs besides its state: they travel in each version."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable


@runtime_checkable
class CarriesFiles(Protocol):
    """An encoder that may have files besides its state, such as a network that others have trained."""

    def write_files(self, directory: Path) -> None:
        """Put them into a folder that exists, under names of their own; nothing where there are none."""
        ...

    @classmethod
    def from_files(cls, state: dict[str, Any], directory: Path) -> Self:
        """The inverse of `to_state` and `write_files`: an encoder that gives the very same numbers.

        Raises:
            FeatureError: the files are not those that it has learned with.
        """
        ...
