"""Which workers of the service serve: each leaves a file with its process id when it begins."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def mark_ready(home: Path) -> None:
    """Say that this process serves, once its routes are there."""
    folder = _folder(home)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / str(os.getpid())).touch()


def is_ready(home: Path, pid: int) -> bool:
    """Whether the worker with this process id serves."""
    return (_folder(home) / str(pid)).exists()


def forget_worker(home: Path, pid: int) -> bool:
    """Forget a worker that is gone, as its process id may come again; returns whether it had served."""
    file = _folder(home) / str(pid)
    had = file.exists()
    file.unlink(missing_ok=True)
    return had


def forget_workers(home: Path) -> None:
    """Forget those of an earlier service, before any worker is started."""
    shutil.rmtree(_folder(home), ignore_errors=True)


def _folder(home: Path) -> Path:
    return home / "work" / "serving"
