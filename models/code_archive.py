"""The code that travels in an MLflow model, as two files.

MLflow sends each file of a model by a request of its own: two hundred modules took longer than all else that
a retrain does.
"""

from __future__ import annotations

import io
import shutil
import zipfile
from functools import lru_cache
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
    archive.write_bytes(archived_code())
    return loader.stem, [str(loader), str(archive)]


def archived_code() -> bytes:
    """The archive of the code as it lies on disk now; made once for as long as that stays as it is."""
    files = [path for room in ROOMS for path in sorted((CHECKOUT / room).rglob("*.py"))]
    found = [path.stat() for path in files]
    return _archive(tuple(files), tuple((one.st_mtime_ns, one.st_size) for one in found))


@lru_cache(maxsize=1)
def _archive(files: tuple[Path, ...], _stamps: tuple[tuple[int, int], ...]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            entry = zipfile.ZipInfo(path.relative_to(CHECKOUT).as_posix(), _STAMP)
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return written.getvalue()
