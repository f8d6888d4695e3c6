"""Whether what a process has imported is what lies on disk now."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from configs.settings import CHECKOUT

OF_A_RUN = ("PREFECT_", "RATCHET_")
"""Variables that begin so are read when they are needed, so a run may have others."""
INSTALLED = ("site-packages", "dist-packages")
Stamps = Mapping[str, tuple[int, int]]


def stamps() -> dict[str, tuple[int, int]]:
    """File to time and size: of all modules of ours, and of folders where packages are installed."""
    ours = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    files = {path for path in ours if path is not None and _is_ours(path)}
    folders = {path for path in sys.path if path.endswith(INSTALLED)}
    return {path: _stamp(path) for path in sorted(files | folders)}


def is_fresh(before: Stamps) -> bool:
    """Whether none of the files has changed or gone."""
    return all(_stamp(path) == stamp for path, stamp in before.items())


def told_apart(begun: Mapping[str, str], now: Mapping[str, str], there: Mapping[str, str]) -> list[str]:
    """Names of variables that differ, and that libraries may have read when they were imported.

    Args:
        begun: what this process was begun with.
        now: the same with what libraries have set since: where whoever starts the run has imported one of
            them (Polars, say, by way of MLflow), the run has its variables as well.
        there: what the run has.
    """
    names = begun.keys() | there.keys()
    return sorted(
        name
        for name in names
        if not name.startswith(OF_A_RUN) and there.get(name) not in (begun.get(name), now.get(name))
    )


def _is_ours(path: str) -> bool:
    parts = Path(path).parts
    return path.startswith(f"{CHECKOUT}{os.sep}") and not any(part in parts for part in INSTALLED)


def _stamp(path: str) -> tuple[int, int]:
    try:
        found = Path(path).stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)
