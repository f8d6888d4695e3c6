"""Rows of a file a batch at a time: what every reader gives, whatever it reads.

Lines that are no rows at all come beside the batch, with the reason; nothing is dropped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from configs.spelling.letters import compose
from features.files.quarantined import bounded, plain_rows
from features.records.image_field import Fetch

BATCH_ROWS = 50_000
BATCH_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 100
TOO_DEEP = f"lists and objects within one another; allowed: a depth of {MAX_DEPTH}"
Lines = NDArray[np.int64]


class Closable(Protocol):
    """A file of any library."""

    def close(self) -> None:
        """Let go of it."""


@dataclass(frozen=True)
class BadLine:
    """A line that is no row: where it stands (from 1), why, and its text."""

    line: int
    reason: str
    text: str


@dataclass(frozen=True)
class Batch:
    """Rows of a file; `lines` says where each one begins (Parquet: its number), `fraction` how far we are."""

    table: pa.Table
    lines: Lines
    bad: tuple[BadLine, ...] = ()
    fraction: float = 1.0
    mixed: Mapping[str, list[Any]] = field(default_factory=dict)
    """Values of the columns that are of several types, by name; the table has their texts."""
    reasons: Mapping[int, str] = field(default_factory=dict)
    """Position of a row that is to be refused, whatever its values, to the reason."""
    originals: pa.Table | Sequence[dict[str, Any]] | None = None
    """The rows as they stand in the file, with every column; None: as in `table`."""
    fetch: Fetch | None = None
    """Gives the pictures that texts of image columns name; None: they name none."""

    def parts(self, rows: int) -> Iterator[Batch]:
        """The same in batches of at most so many rows; lines that are none come with the first."""
        if self.table.num_rows <= rows:
            yield self
            return
        for start in range(0, self.table.num_rows, rows):
            end = min(start + rows, self.table.num_rows)
            originals = self.originals
            yield replace(
                self,
                table=self.table.slice(start, rows),
                lines=self.lines[start:end],
                bad=() if start else self.bad,
                mixed={name: values[start:end] for name, values in self.mixed.items()},
                reasons={row - start: why for row, why in self.reasons.items() if start <= row < end},
                originals=originals.slice(start, rows)
                if isinstance(originals, pa.Table)
                else None
                if originals is None
                else originals[start:end],
            )

    def contents(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """Rows as they stand in the file, for quarantine: what is too long there is cut."""
        originals = self.table if self.originals is None else self.originals
        if not isinstance(originals, pa.Table):
            return [bounded(originals[row]) for row in rows]
        held = plain_rows(originals, rows)
        for name, values in self.mixed.items():
            for row, content in zip(rows, held, strict=True):
                content[name] = values[row]
        return [bounded(row) for row in held]


@dataclass(frozen=True)
class Source:
    """Something to read rows from, to be closed; `columns` is None where each row names its own (JSONL)."""

    name: str
    columns: tuple[str, ...] | None
    batches: Iterator[Batch]
    file: Closable | None = None
    notes: tuple[str, ...] = ()
    """What the file says of itself and nobody declared: its separator, its encoding."""
    separator: str | None = None
    """What stands between the columns of CSV."""
    added: tuple[str, ...] = ()
    """Columns that no row of the file holds: the reader tells by them where a row stood."""

    def close(self) -> None:
        """Let go of the file."""
        if self.file is not None:
            self.file.close()


def table_source(name: str, table: pa.Table, mixed: Mapping[str, list[Any]] = MappingProxyType({})) -> Source:
    """Rows that are in memory already; `mixed` as in a batch."""
    columns = [compose(column) for column in table.column_names]
    mixed = {compose(column): values for column, values in mixed.items()}
    return Source(name, tuple(columns), _slices(table.rename_columns(columns), mixed))


def _slices(table: pa.Table, mixed: Mapping[str, list[Any]]) -> Iterator[Batch]:
    step = max(256, min(BATCH_ROWS, 4_000_000 // max(1, table.nbytes // max(1, table.num_rows))))
    for start in range(0, table.num_rows, step):
        part = table.slice(start, step)
        end = start + part.num_rows
        own = {name: values[start:end] for name, values in mixed.items()}
        yield Batch(part, np.arange(start + 1, end + 1), fraction=end / table.num_rows, mixed=own)


def is_too_deep(row: Any) -> bool:
    """Whether lists and objects of a row are within one another more often than any record needs."""
    level, depth = [row] if isinstance(row, dict | list) else [], 0
    while level and depth <= MAX_DEPTH:
        inner = (one.values() if isinstance(one, dict) else one for one in level)
        level = [value for values in inner for value in values if isinstance(value, dict | list)]
        depth += 1
    return depth > MAX_DEPTH


def objects_table(rows: Sequence[dict[str, Any]]) -> tuple[pa.Table, dict[str, list[Any]]]:
    """Columns of JSON objects, and the values of those that are of several types, which become text there."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: [row.get(name) for row in rows] for name in names}
    arrays = {name: _column(values) for name, values in columns.items()}
    mixed = {name: columns[name] for name, array in arrays.items() if array is None}
    texts = {name: pa.array(list(map(_text, values)), pa.string()) for name, values in mixed.items()}
    return pa.table({name: texts[name] if array is None else array for name, array in arrays.items()}), mixed


def _column(values: list[Any]) -> pa.Array | None:
    """The values as Arrow has them; None where it has no type for all of them."""
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
        return None


def _text(value: Any) -> str | None:
    """A value as text, each but a text as JSON; what Arrow cannot hold is spelled out."""
    if value is None:
        return None
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    return json.dumps(value)


def repeats(names: Sequence[str]) -> str | None:
    """The first name that stands there more than once, if any."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
