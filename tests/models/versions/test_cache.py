"""Copies on this machine: a whole one is used, a damaged one fetched again, what is not right refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from models.errors import ArtifactDamaged, ArtifactError
from models.versions.artifact import MANIFEST, artifact_digest, listed_files, read_manifest
from models.versions.cache import add_to_cache, cached_artifact, fetch_artifact, find_cached


class Source:
    """What a registry has of a version."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fetched = 0

    def fetch(self, target: Path) -> Path:
        self.fetched += 1
        return Path(shutil.copytree(self.folder, target / "artifact"))


@pytest.fixture
def source(copied: Path) -> Source:
    return Source(copied)


def change(folder: Path) -> None:
    (folder / "encoder.json").write_text("{}")


def remove(folder: Path) -> None:
    (folder / MANIFEST).unlink()


def add(folder: Path) -> None:
    (folder / "native" / "more.py").write_text("")


def rewrite_manifest(folder: Path) -> None:
    """The same content, written in another way."""
    path = folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()), indent=3))


@pytest.mark.parametrize("damage", [change, remove, add, rewrite_manifest])
def test_a_damaged_copy_is_fetched_again(
    source: Source, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    cache, digest = tmp_path / "cache", artifact_digest(source.folder)
    folder = fetch_artifact(cache, "apples", 1, digest, source.fetch)
    assert fetch_artifact(cache, "apples", 1, digest, source.fetch) == folder
    damage(folder)
    assert fetch_artifact(cache, "apples", 1, digest, source.fetch) == folder
    assert (source.fetched, artifact_digest(folder)) == (2, digest)
    assert [path.name for path in folder.parent.iterdir()] == ["1"]


@pytest.mark.parametrize("damage", [change, remove, rewrite_manifest])
def test_a_damaged_source_is_refused_by_name_and_nothing_is_kept(
    source: Source, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    digest = artifact_digest(source.folder)
    damage(source.folder)
    with pytest.raises(ArtifactDamaged, match=f"version 1 of 'apples' is refused.*{digest}") as refused:
        fetch_artifact(tmp_path / "cache", "apples", 1, digest, source.fetch)
    assert refused.value.expected == digest
    assert list((tmp_path / "cache" / "apples").iterdir()) == []


def test_what_the_ledger_does_not_know_is_believed_if_it_is_whole(source: Source, tmp_path: Path) -> None:
    rewrite_manifest(source.folder)
    assert read_manifest(fetch_artifact(tmp_path / "cache", "apples", 1, None, source.fetch))
    change(source.folder)
    with pytest.raises(ArtifactDamaged, match=r"encoder\.json was changed.*nothing of it"):
        fetch_artifact(tmp_path / "cache", "apples", 2, None, source.fetch)


def test_what_was_made_here_takes_the_place_of_an_older_version_of_the_same_number(
    copied: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    add_to_cache(copied, cache, "apples", 1)
    before = cached_artifact(cache, "apples", 1).stat().st_ino
    add_to_cache(copied, cache, "apples", 1)
    assert cached_artifact(cache, "apples", 1).stat().st_ino == before
    rewrite_manifest(copied)
    add_to_cache(copied, cache, "apples", 1)
    assert find_cached(cache, "apples", 1, artifact_digest(copied)) is not None


def test_names_that_lead_outside_are_refused(tmp_path: Path) -> None:
    for files in ({"../outside": "x"}, ["a"], None):
        (tmp_path / MANIFEST).write_text(json.dumps({"files": files}))
        with pytest.raises(ArtifactError, match=r"lies outside|names no files"):
            listed_files(tmp_path)
