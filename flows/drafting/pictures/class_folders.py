"""A folder with one folder of pictures for each class, as a CSV beside these: a path and a label a line."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from configs.security.umask import user_umask
from flows.drafting.errors import CannotDraft
from flows.drafting.names import check_path
from flows.drafting.pictures.linked import ENDINGS, OTHERS

FILE = "file"
"""The column with the path."""


@contextmanager
def listed(folder: Path, name: str, target: str, *, force: bool, keep: bool) -> Iterator[tuple[Path, str]]:
    """Write `NAME.csv` into the folder itself, as paths lead to files below it; gone again after an error.

    Args:
        target: the column of the label.
        force: whether one that is there may be replaced.
        keep: whether it stays.

    Raises:
        CannotDraft: there are no such folders, or a file of that name.
        OSError: it cannot be written.
    """
    if target == FILE:
        raise CannotDraft(f"--target: got '{FILE}', the column of the paths; allowed: another name")
    rows = list_pictures(folder)
    path = folder / f"{name}.csv"
    before = path.read_bytes() if path.exists() else None
    if before is not None and not force:
        raise CannotDraft(f"{path}: is there already; --force replaces it")
    stays = False
    try:
        with user_umask(), path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow((FILE, target))
            writer.writerows(rows)
        yield path, target
        stays = keep
    finally:
        if not stays and before is None:
            path.unlink(missing_ok=True)
        elif not stays and before is not None:
            path.write_bytes(before)


def list_pictures(folder: Path) -> list[tuple[str, str]]:
    """Path below the folder and class of each picture, in order.

    Raises:
        CannotDraft: fewer than two folders hold pictures, or they hold them in folders of their own, or a
            name is no text.
    """
    rows: list[tuple[str, str]] = []
    deeper: list[str] = []
    for inner in _folders(folder):
        names = sorted(one.name for one in inner.iterdir() if _is_picture(one))
        rows += [(f"{inner.name}/{name}", inner.name) for name in names]
        if not names and any(_is_picture(one) for below in _folders(inner) for one in below.iterdir()):
            deeper.append(inner.name)
    for path, _ in rows:
        check_path(path)
    classes = {label for _, label in rows}
    if deeper:
        raise CannotDraft(
            f"{folder}: its folder '{deeper[0]}' holds folders of pictures; allowed: a folder a class, with "
            f"the pictures in it, such as {folder / deeper[0]} if that is one"
        )
    if len(classes) < 2:
        raise CannotDraft(
            f"{folder}: {len(classes)} folders with pictures (PNG or JPEG) in it; allowed: one for each of "
            "two or more classes, or a file that names the pictures in a column and their labels in another"
        )
    return rows


def _folders(folder: Path) -> list[Path]:
    found = (one for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))
    return sorted(found, key=lambda one: one.name)


def _is_picture(path: Path) -> bool:
    ending = path.suffix.lower().removeprefix(".")
    return not path.name.startswith(".") and ending in ENDINGS | OTHERS and path.is_file()
