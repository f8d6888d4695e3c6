"""Where trainings leave their checkpoints: `<home>/checkpoints/<use case>/<challenger>/`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from configs.schema import ChallengerConfig, UseCase
from models.errors import TrainingStopped

SNAPSHOT = "snapshot"


def checkpoint_folder(home: Path, use_case: UseCase, challenger: ChallengerConfig) -> Path | None:
    """Where a challenger's training leaves off and is taken up; None where none is to be kept."""
    if not use_case.training.checkpoints or challenger.fit == "warm":
        return None
    return home / "checkpoints" / use_case.name / challenger.name


def clear_checkpoints(home: Path, use_case: str) -> None:
    """Forget all of a use case: its next training begins from nothing."""
    shutil.rmtree(home / "checkpoints" / use_case, ignore_errors=True)


@contextmanager
def discarding_if_stopped(home: Path, use_case: UseCase) -> Iterator[None]:
    """Forget the checkpoints of a training that is stopped, where the configuration says so."""
    try:
        yield
    except TrainingStopped:
        if use_case.training.on_stop == "discard":
            clear_checkpoints(home, use_case.name)
        raise


def note_snapshot(folder: Path, digest: str) -> None:
    """Write down which rows a training learns from, for whoever evaluates its checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SNAPSHOT).write_text(digest, encoding="utf-8")


def noted_snapshot(folder: Path) -> str | None:
    """Digest of the snapshot that the training in a folder learns from; None where none is noted."""
    try:
        return (folder / SNAPSHOT).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
