"""Which workers of the service serve, and which use cases: files in the home, named by process id.

They tell who replaces workers when a new one serves, and commands when all have taken up a model.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import psutil

from store.supervision import birth_of


def mark_ready(home: Path) -> None:
    """Say that this process serves, once its routes are there."""
    folder = _folder(home)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / str(os.getpid())).write_text(birth_of(psutil.Process()), encoding="ascii")


def is_ready(home: Path, pid: int) -> bool:
    """Whether the worker with this process id serves."""
    return (_folder(home) / str(pid)).exists()


def write_models(home: Path, use_cases: Iterable[str]) -> None:
    """Say for which use cases this process has a model."""
    file = _models_file(home, os.getpid())
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(sorted(use_cases)), encoding="utf-8")
    unfinished.replace(file)


def read_models(home: Path) -> dict[int, frozenset[str]]:
    """Process id of each worker that serves -> the use cases for which it has a model."""
    names = [file.name for file in _folder(home).glob("*")]
    return {int(name): _read_models(home, int(name)) for name in names if name.isdigit()}


def living_workers(home: Path) -> list[int]:
    """Process ids of the workers that serve and live, whoever started their service."""
    return sorted(pid for pid in read_models(home) if _lives(home, pid))


def forget_worker(home: Path, pid: int) -> bool:
    """Forget a worker that is gone, as its process id may come again; returns whether it had served."""
    file = _folder(home) / str(pid)
    had = file.exists()
    file.unlink(missing_ok=True)
    _models_file(home, pid).unlink(missing_ok=True)
    return had


def forget_workers(home: Path) -> None:
    """Forget those of an earlier service, before any worker is started."""
    shutil.rmtree(_folder(home), ignore_errors=True)


def _lives(home: Path, pid: int) -> bool:
    """Whether the process that said so lives: one that began after that was given its number."""
    file = _folder(home) / str(pid)
    try:
        process, birth = psutil.Process(pid), file.read_text(encoding="ascii")
        if birth:  # times of day tell nothing where the clock was set since
            return birth_of(process) == birth
        return bool(process.create_time() <= file.stat().st_mtime)
    except (psutil.Error, OSError):
        return False


def _read_models(home: Path, pid: int) -> frozenset[str]:
    try:
        return frozenset(json.loads(_models_file(home, pid).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return frozenset()


def _models_file(home: Path, pid: int) -> Path:
    return _folder(home) / f"{pid}.models"


def _folder(home: Path) -> Path:
    return home / "work" / "serving"
