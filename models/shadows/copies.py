"""Copies of shadows on this machine, in `<home>/shadows/<use case>/<period>/<challenger>`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from pathlib import Path

from models.errors import ArtifactError
from models.versions.cache import check_artifact


def shadow_folder(home: Path, use_case: str, number: int, challenger: str) -> Path:
    """Where the copy of a challenger lies that was made at the end of a period."""
    return home / "shadows" / use_case / str(number) / challenger


def whole_copy(folder: Path, digest: str, fetch: Callable[[Path], None]) -> Path:
    """The copy that is there if it is whole, else a new one.

    Args:
        digest: what it is known by.
        fetch: puts it into a new folder.

    Raises:
        ArtifactError: what is fetched is something else.
    """
    if folder.is_dir():
        try:
            check_artifact(folder, digest)
        except ArtifactError:
            shutil.rmtree(folder)
        else:
            return folder
    fetch(folder)
    try:
        check_artifact(folder, digest)
    except ArtifactError:
        shutil.rmtree(folder)
        raise
    return folder


def keep_copy(artifact: Path, folder: Path) -> None:
    """Copy a challenger, in place of what an attempt before left there."""
    draft = folder.with_name(f".draft-{folder.name}")
    for there in (draft, folder):
        shutil.rmtree(there, ignore_errors=True)
    shutil.copytree(artifact, draft)
    draft.rename(folder)


def copies_of_others(home: Path, use_case: str, kept: Collection[int]) -> list[Path]:
    """Folders of periods whose challengers are not kept."""
    parent = home / "shadows" / use_case
    folders = [path for path in parent.iterdir() if path.name.isdecimal()] if parent.is_dir() else []
    return sorted(path for path in folders if int(path.name) not in kept)
