"""What a use case expects of its files: how they are written, and which of their columns it reads."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from configs.schema import UseCase
from configs.schema.files import FilesConfig

NUMBERS = ("number", "integer")


@dataclass(frozen=True)
class Layout:
    """How files are written; without `columns` every column counts and is read."""

    files: FilesConfig = field(default_factory=FilesConfig)
    columns: frozenset[str] | None = None
    """Columns that the use case reads."""
    images: tuple[str, ...] = ()
    """Of those, images: they may have a column for each pixel, `image_0` and so on."""
    numbers: frozenset[str] = frozenset()
    """Of those, numbers, which `files.decimal` and `files.thousands` speak of."""
    levels: int = 0
    """Bytes of the images of one row, once they are decoded."""
    whole: bool = False
    """Whether columns that the use case does not read are wanted all the same."""

    def reads(self, name: str) -> bool:
        """Whether the use case reads a column."""
        if self.columns is None or name in self.columns:
            return True
        stem, _, pixel = name.rpartition("_")
        return stem in self.images and pixel.isdecimal()

    def wants(self, name: str) -> bool:
        """Whether a column is to be in the batches."""
        return self.whole or self.reads(name)

    def count(self, names: Iterable[str]) -> int:
        """How many of the names the use case reads."""
        return 0 if self.columns is None else sum(map(self.reads, set(names)))


def layout_of(use_case: UseCase, *, whole: bool = False) -> Layout:
    """The layout of a use case's files; `whole` also wants columns that it does not read, all as they are."""
    fields, record = use_case.record.fields, use_case.record
    special = [value for name, value in record if name.endswith("_column") and value is not None]
    special += [] if record.group_key is None else [record.group_key]
    return Layout(
        use_case.files,
        frozenset([*(one.source_column for one in fields), use_case.target.column, *special, "id"]),
        tuple(one.source_column for one in fields if one.type == "image"),
        frozenset(one.source_column for one in fields if one.type in NUMBERS and not whole),
        sum(math.prod(one.shape) for one in fields if one.shape is not None),
        whole,
    )
