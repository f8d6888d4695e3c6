"""Small labelled files, and drafts of them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from configs.schema import UseCase
from flows.drafting.declarations import read_declared
from flows.drafting.document import Checked, check, document
from flows.drafting.draft import Draft, draft
from flows.drafting.wishes import Wishes

NOW = datetime(2026, 1, 1)
NAME = "drafted"


def write_csv(path: Path, columns: Mapping[str, Sequence[Any]], separator: str = ",") -> Path:
    """Write columns of equal length."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerow(list(columns))
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def table(rows: int = 200, **more: Sequence[Any]) -> dict[str, Sequence[Any]]:
    """A target, `label`, of two classes, with a number that says something of it, and more columns."""
    random = np.random.default_rng(3)
    classes = random.integers(0, 2, rows)
    numbers = np.round(classes + random.normal(0, 1, rows), 3)
    return {"size": numbers.tolist(), **more, "label": ["no" if one == 0 else "yes" for one in classes]}


def drafted(path: Path, target: str = "label", **wishes: Any) -> Draft:
    """A draft of a file."""
    return draft(NAME, read_declared(path, target), target, Wishes(**wishes), NOW)


def checked(path: Path, target: str = "label", **wishes: Any) -> tuple[Draft, UseCase, Checked]:
    """A draft, and the use case that its file would be read as."""
    made = drafted(path, target, **wishes)
    use_case, rows = check(document(made, path.name), made)
    return made, use_case, rows


def field_of(made: Draft, column: str) -> dict[str, Any]:
    """What a column has become."""
    return next(one.config for one in made.fields if one.column == column)


def reason_of(made: Draft, column: str) -> str | None:
    """Why a column is left out; None: it is a field."""
    return next((one.reason for one in made.left_out if one.column == column), None)
