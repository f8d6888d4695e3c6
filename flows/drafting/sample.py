"""A bounded number of rows from all over a file, and what was counted on the way through it.

Every row is looked at once, so how many there are, and the values of columns with few of them, are those of
the whole file; of the rows themselves a sample is kept that chance draws evenly.
"""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.schema import RecordConfig
from configs.schema.files import FilesConfig
from configs.spelling.near_names import meant
from features.files.batches import Batch, Source
from features.files.layout import Layout
from features.files.readers.arrow_types import plain
from features.files.sources import open_source
from features.records.arrow.casts import one_array
from features.records.spellings import spell_id, word_of

MOST_ROWS = 20_000
MOST_CELLS = 2_000_000
MOST_BYTES = 200_000_000
"""Of the sample: rows, values, and about so many bytes of text."""
MOST_VALUES = 300
"""Different values of a column that are counted over the whole file; of the target ten times as many."""
LONG_BYTES = 200
"""Values of bytes beyond that are no words."""
SEED = 7
_NAMED = 50
DEFAULT_MISSING: tuple[str, ...] = RecordConfig.model_fields["missing"].default


@dataclass(frozen=True)
class Column:
    """One column of a file."""

    name: str
    values: list[Any]
    """Of the rows of the sample, as the file has them; None where there is none."""
    counts: Counter[str] | None
    """How often each value stands in the whole file, by its text; None: they are too many, or no scalars."""
    gaps: int = 0
    """Rows of the whole file in which nothing, or a usual mark of no value, stands."""
    is_nested: bool = False
    """Whether some values are lists or objects."""


@dataclass(frozen=True)
class Sample:
    """What is known of a file."""

    path: Path
    columns: dict[str, Column]
    rows: int
    """In the whole file, without those that are none."""
    kept: int
    """In the sample."""
    bad: int
    """Lines that are no rows."""
    bad_reason: str | None
    """Of the first of them."""
    notes: tuple[str, ...]
    """What the reader found out by itself: a separator, an encoding."""
    separator: str = ","
    """What stands between the columns of CSV."""
    added: tuple[str, ...] = ()
    """Columns that the reader adds, and no request has."""

    @property
    def is_whole(self) -> bool:
        """Whether every row is in the sample."""
        return self.kept == self.rows

    def lacks(self, column: str, *, but: str | None = None) -> str:
        """What is told of a column that the file does not have: the nearest one, and those it has.

        Args:
            but: a column that is not allowed there.
        """
        names = [name for name in self.columns if name != but]
        shown = ", ".join(f"'{name}'" for name in names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
        return f"no column '{column}'{meant(column, names)}; present: {shown}"


def read_sample(path: Path, files: FilesConfig, target: str) -> Sample:
    """Go through a file once.

    Args:
        target: the column whose values are counted further than others'.

    Raises:
        SourceError: it cannot be read.
    """
    # No column is one that a use case reads: a name that stands there twice is no reason to stop then.
    source = open_source(path, Layout(files, columns=frozenset(), whole=True))
    with closing(source):
        taken = _Taken(target, names=source.columns or ())
        for batch in source.batches:
            taken.add(batch)
    return taken.sample(path, source)


@dataclass
class _Taken:
    """The rows kept so far, each with the number that chance gave it, and the counts."""

    target: str
    names: tuple[str, ...]
    values: dict[str, list[Any]] = field(default_factory=dict)
    counts: dict[str, Counter[str] | None] = field(default_factory=dict)
    gaps: Counter[str] = field(default_factory=Counter)
    nested: set[str] = field(default_factory=set)
    drawn: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    rows: int = 0
    bad: int = 0
    bad_reason: str | None = None
    below: float = 1.0

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(SEED)
        for name in self.names:
            self._begin(name)

    def add(self, batch: Batch) -> None:
        """Count the rows of a batch, and keep some."""
        self.bad += len(batch.bad)
        if self.bad_reason is None and batch.bad:
            self.bad_reason = f"line {batch.bad[0].line}: {batch.bad[0].reason}"
        rows = batch.table.num_rows
        if rows == 0:
            return
        for name in batch.table.column_names:
            self._begin(name)
        self.rows += rows
        drawn = self.random.random(rows)
        chosen = np.flatnonzero(drawn < self.below)
        sizes = np.zeros(len(chosen), dtype=np.int64)
        for name in list(self.values):
            column = _column(batch, name)
            self._count(name, column, rows, batch.mixed.get(name))
            self._keep(name, column, chosen, sizes, batch.mixed.get(name))
        self.drawn += drawn[chosen].tolist()
        self.sizes += sizes.tolist()
        while self._is_too_much():
            self._thin()

    def sample(self, path: Path, source: Source) -> Sample:
        """What has come of it."""
        columns = {
            name: Column(name, values, self.counts[name], self.gaps[name], name in self.nested)
            for name, values in self.values.items()
        }
        return Sample(
            path,
            columns,
            self.rows,
            kept=len(self.drawn),
            bad=self.bad,
            bad_reason=self.bad_reason,
            notes=source.notes,
            separator=source.separator or ",",
            added=source.added,
        )

    def _begin(self, name: str) -> None:
        if name not in self.values:
            self.values[name] = [None] * len(self.drawn)
            earlier = self.rows
            self.counts[name] = Counter({"": earlier} if earlier else {})
            self.gaps[name] += earlier

    def _count(self, name: str, column: pa.Array | None, rows: int, mixed: list[Any] | None) -> None:
        self.gaps[name] += rows if column is None else _gaps(column)
        counts = self.counts[name]
        if counts is None:
            return
        if column is None:
            counts[""] += rows
            return
        most = MOST_VALUES * (10 if name == self.target else 1)
        found = _counted(column, most) if mixed is None else _counted_mixed(mixed)
        if found is not None:
            counts.update(found)
        if found is None or len(counts) > most:
            self.counts[name] = None

    def _keep(
        self, name: str, column: pa.Array | None, chosen: Any, sizes: Any, mixed: list[Any] | None
    ) -> None:
        kept = self.values[name]
        if mixed is not None:
            values = [mixed[place] for place in chosen.tolist()]
        elif column is None:
            values = [None] * len(chosen)
        else:
            values = column.take(pa.array(chosen)).to_pylist()
        if any(isinstance(value, list | dict) for value in values):
            self.nested.add(name)
        kept += values
        sizes += [_size(value) for value in values]

    def _is_too_much(self) -> bool:
        rows = len(self.drawn)
        too_many = rows > MOST_ROWS or rows * max(1, len(self.values)) > MOST_CELLS
        return rows > 100 and (too_many or sum(self.sizes) > MOST_BYTES)

    def _thin(self) -> None:
        """Keep half of the rows: those that chance gave the lower numbers."""
        self.below /= 2
        places = [place for place, drawn in enumerate(self.drawn) if drawn < self.below]
        for name, values in self.values.items():
            self.values[name] = [values[place] for place in places]
        self.drawn = [self.drawn[place] for place in places]
        self.sizes = [self.sizes[place] for place in places]


def _column(batch: Batch, name: str) -> pa.Array | None:
    return plain(one_array(batch.table[name])) if name in batch.table.column_names else None


def _counted(column: pa.Array, most: int) -> dict[str, int] | None:
    """How often each value is there; None where they are more than `most`, or no words."""
    if pa.types.is_nested(column.type) or _holds_long_bytes(column):
        return None
    found = pc.value_counts(column)
    if len(found) > most:
        return None
    counts = Counter[str]()
    for one in found.to_pylist():
        counts[spelled(one["values"])] += one["counts"]
    return counts


def _counted_mixed(values: list[Any]) -> dict[str, int] | None:
    """The same of values of several types."""
    if any(isinstance(value, list | dict) for value in values):
        return None
    return Counter(map(spelled, values))


def _gaps(column: pa.Array) -> int:
    if not pa.types.is_string(column.type):
        return int(column.null_count)
    found = pc.is_in(column, pa.array(sorted({*DEFAULT_MISSING, ""})))
    return int(column.null_count) + int(pc.sum(found).as_py() or 0)


def _holds_long_bytes(column: pa.Array) -> bool:
    """Pictures, which are not written out to be counted."""
    kind = column.type
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        return False
    return bool((pc.max(pc.binary_length(column)).as_py() or 0) > LONG_BYTES)


def _size(value: Any) -> int:
    if isinstance(value, dict):
        return sum(map(_size, value.values()))
    return len(value) if isinstance(value, str | bytes | list) else 8


def spelled(value: Any) -> str:
    """A value as text; none is the empty text."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    word = word_of(value)
    return repr(value) if word is None else word


def count_different(sample: Sample, files: FilesConfig, name: str) -> tuple[int, int]:
    """Values of a column in the whole file, and how many of them differ; those of no value do not count.

    Raises:
        SourceError: the file cannot be read any more.
    """
    if sample.is_whole:
        texts = [text for text in map(_as_id, sample.columns[name].values) if text]
        return len(texts), len(set(texts))
    rows, seen = 0, set[int]()
    with closing(open_source(sample.path, Layout(files, columns=frozenset(), whole=True))) as source:
        for batch in source.batches:
            column = _column(batch, name)
            values = batch.mixed.get(name) or ([] if column is None else column.to_pylist())
            hashes = [hash(text) for text in map(_as_id, values) if text]
            rows += len(hashes)
            seen.update(hashes)
    return rows, len(seen)


def _as_id(value: Any) -> str:
    """The text of an id; empty where there is none."""
    word = spell_id(spelled(value))
    return "" if word in DEFAULT_MISSING else word
