"""The code that travels in an MLflow model, as two files.

MLflow sends each file of a model by a request of its own: two hundred modules took longer than all else that
a retrain does.
"""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

from configs.settings import CHECKOUT

ROOMS = ("configs", "features", "models")
"""Packages that answering needs."""
LOADER, ARCHIVE = "ratchet_model", "ratchet.zip"
"""What MLflow imports (`models.ratchet_model`), and what that takes everything else from."""
_STAMP = (1980, 1, 1, 0, 0, 0)
"""Of every file, so that the same code is the same bytes."""


def write_code(folder: Path) -> tuple[str, list[str]]:
    """Write the code into a folder; gives the module that MLflow loads, and the files for `code_paths`."""
    loader = folder / f"{LOADER}.py"
    shutil.copyfile(CHECKOUT / "models" / loader.name, loader)
    archive = folder / ARCHIVE
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as written:
        for room in ROOMS:
            for path in sorted((CHECKOUT / room).rglob("*.py")):
                entry = zipfile.ZipInfo(path.relative_to(CHECKOUT).as_posix(), _STAMP)
                written.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return loader.stem, [str(loader), str(archive)]
