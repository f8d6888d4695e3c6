"""Errors of the features layer.

FeatureError
├── RecordError            records of a request that are refused
├── SourceError            a file or data set that cannot be read
│   ├── MissingColumns
│   └── DownloadFailed     a data set that is to be had over a network, and was not
├── ClassMissing           a class of another package that is not to be had here
├── EncoderUnavailable
├── EncoderFailed          an encoder of another package that gave up
├── TextModelMissing       a sentence transformer that is not installed here
├── TextModelDamaged
├── PictureModelMissing    a network for pictures that is not installed here
└── PictureModelDamaged
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

SHOWN = 100
RowKind = Literal["row", "text", "item", "second", "record"]
"""What a refused row holds: the cells of a `row`, the `text` of what is no row, the `item` of a request, the
`second` row of an id, or a labelled `record` that was stored once."""


@dataclass(frozen=True)
class Problem:
    """What is wrong with one field of one record; `row` counts from 0, `field` is empty for the whole."""

    row: int
    field: str
    message: str
    stray: str = ""
    """Of a field that is missing, the unknown one that is probably meant for it."""


@dataclass(frozen=True)
class RefusedRow:
    """A refused row: where it stood (from 1; None when it came by request), why, and what it held."""

    line: int | None
    reason: str
    row: dict[str, Any]
    kind: RowKind = "row"


class FeatureError(Exception):
    """Base of everything that this layer raises on purpose."""


class RecordError(FeatureError):
    """Records that break their contract; `problems` holds the first 100 of `total`."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.total = len(problems)
        self.problems = tuple(problems[:SHOWN])
        first = self.problems[0]
        more = f" (and {self.total - 1} more)" if self.total > 1 else ""
        super().__init__(f"record {first.row}: {first.message}{more}")


class SourceError(FeatureError):
    """A file or data set that cannot be read; the message names it and what is allowed."""


class DownloadFailed(SourceError):
    """A data set that is to be had over a network, and could not be now."""


class MissingColumns(SourceError):
    """A file without columns that the records need; `hints` say why that may be, and what to do."""

    def __init__(
        self,
        source: str,
        missing: Sequence[str],
        present: Iterable[str],
        hints: Sequence[str] = (),
        *,
        has_no_header: bool = False,
    ) -> None:
        self.missing = tuple(missing)
        self.present = tuple(present)
        self.has_no_header = has_no_header
        """Whether no column at all is there that is needed: the first line is no header."""
        names = ", ".join(f"'{name}'" for name in self.missing)
        there = ", ".join(f"'{name}'" for name in self.present[:50]) or "none"
        what = "column" if len(self.missing) == 1 else "columns"
        super().__init__("; ".join([f"{source}: {what} {names} missing", f"present: {there}", *hints]))


class ClassMissing(FeatureError):
    """A class of another package that cannot be imported, or is not what it should be."""


class EncoderUnavailable(FeatureError):
    """An encoder of another package that is not to be had in this process."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"features.encoder: {problem}")


class EncoderFailed(FeatureError):
    """An encoder of another package that gave up, or gave what is no row of numbers."""

    def __init__(self, name: str, doing: str, error: BaseException) -> None:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        super().__init__(f"features.encoder: {name} cannot {doing}: {reason}")


class TextModelMissing(FeatureError):
    """A text model that cannot be used here; `problem` says why, and what to install."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"features.text.meaning.model: {problem}")


class TextModelDamaged(FeatureError):
    """A file of a text model that is not what it should be."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        super().__init__(f"{path} {problem}")


class PictureModelMissing(FeatureError):
    """A network for pictures that cannot be used here; `problem` says why, and what to install."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"features.image.backbone.model: {problem}")


class PictureModelDamaged(FeatureError):
    """A file of a network for pictures that is not what it should be."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        super().__init__(f"{path} {problem}")
