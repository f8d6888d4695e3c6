"""Faults of a load that pass, told apart from those of what is loaded."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from models.errors import ArtifactDamaged, ArtifactError, CannotLoadNow, ProbeError
from models.passing_faults import is_passing
from models.versions import predictor as versions
from models.versions.cache import fetch_artifact, find_cached
from models.versions.predictor import Predictor
from tests.contract.cases import Case


def of_system(code: int) -> OSError:
    return OSError(code, os.strerror(code))


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        *(of_system(code) for code in (errno.ENOSPC, errno.EMFILE, errno.EIO, errno.ESTALE, errno.EROFS)),
        ConnectionResetError(),
        TimeoutError(),
        MemoryError(),
        caused(ArtifactError(Path("x"), "cannot be loaded"), MemoryError()),
        RuntimeError("bfc_arena.cc:360 Failed to allocate memory for requested buffer of size 240000000"),
    ],
    ids=repr,
)
def test_what_passes(error: Exception) -> None:
    assert is_passing(error)


@pytest.mark.parametrize(
    "error",
    [
        *(of_system(code) for code in (errno.ENOENT, errno.EISDIR, errno.EINVAL)),
        OSError("libgomp.so.1: cannot open shared object file"),
        ValueError("24"),
        RuntimeError("system error number 2"),
        ProbeError("it differs"),
    ],
    ids=repr,
)
def test_what_stays(error: Exception) -> None:
    assert not is_passing(error)


@pytest.fixture
def no_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    """No manifest can be opened for reading."""
    opened = Path.open

    def fails(path: Path, mode: str = "r", *args: object, **named: object) -> object:
        if path.name == "manifest.json":
            raise of_system(errno.EMFILE)
        return opened(path, mode, *args, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", fails)


@pytest.mark.usefixtures("no_descriptors")
def test_a_copy_that_cannot_be_read_now_is_not_thrown_away(tmp_path: Path) -> None:
    copy = tmp_path / "small" / "1"
    copy.mkdir(parents=True)
    (copy / "manifest.json").touch()
    for digest in (None, "abc"):
        with pytest.raises(CannotLoadNow, match="Too many open files"):
            find_cached(tmp_path, "small", 1, digest)
    assert copy.is_dir()


@pytest.mark.usefixtures("no_descriptors")
def test_what_is_fetched_and_cannot_be_read_now_is_not_damaged_at_its_source(tmp_path: Path) -> None:
    def fetch(folder: Path) -> Path:
        (folder / "manifest.json").touch()
        return folder

    with pytest.raises(CannotLoadNow):
        fetch_artifact(tmp_path, "small", 1, None, fetch)


def test_what_is_fetched_without_a_manifest_is(tmp_path: Path) -> None:
    with pytest.raises(ArtifactDamaged, match=r"manifest\.json is missing"):
        fetch_artifact(tmp_path, "small", 1, None, lambda folder: folder)


def test_a_version_that_lacks_memory_is_told_from_one_that_is_broken(
    trees: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error, kind in (
        (MemoryError(), CannotLoadNow),
        (of_system(errno.EMFILE), CannotLoadNow),
        (ValueError("no weights"), ArtifactError),
    ):

        def fails(*_: object, error: Exception = error) -> Any:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(versions, "open_runner", fails)
            with pytest.raises(kind, match=type(error).__name__):
                Predictor.load(trees.artifact)
        predictor = Predictor.load(trees.artifact)
        predictor._runner = fails
        with pytest.raises(CannotLoadNow if kind is CannotLoadNow else ProbeError):
            predictor.check_probe()
