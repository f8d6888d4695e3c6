"""Labelled rows of a file: each is either a valid record with its label, or refused with every reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from configs.schema import RecordConfig, TargetConfig, UseCase
from configs.spelling.near_names import misspelt
from features.errors import MissingColumns, RefusedRow
from features.files.batches import Batch, Source
from features.files.layout import layout_of
from features.files.missing_columns import explain_missing
from features.files.sources import open_source
from features.records.arrow.file_columns import columns_read, needed_columns, read_times, read_values
from features.records.contract import Columns, LabelContract, RecordContract, concat, take
from features.records.fields import Notes
from features.records.ids import read_id, read_source
from features.records.spellings import word_of

_PLAIN_ID = "id"


@dataclass(frozen=True)
class LabelledRows:
    """The valid rows of a batch, in order, and the refused ones."""

    columns: Columns
    labels: list[str]
    ids: list[str | None]
    times: np.ndarray[Any, np.dtype[np.datetime64]]
    lines: np.ndarray[Any, np.dtype[np.int64]]
    refused: tuple[RefusedRow, ...]
    fraction: float = 1.0
    groups: list[str | None] | None = None
    """What rows are grouped by, where that is no field."""
    sources: list[str | None] | None = None
    """Whose label each row has; None: the files of the use case do not say."""


class RowReader:
    """Reads the rows of one use case."""

    def __init__(self, use_case: UseCase) -> None:
        self.record = use_case.record
        self.target = use_case.target
        self.contract = RecordContract(use_case.record)
        self.labels = LabelContract(use_case.target, use_case.record.missing)
        self.counts: Counter[str] = Counter()
        """How many odd values were read in which way so far, see `features.records.fields.Notes`."""

    def require_columns(self, source: Source) -> None:
        """Refuse a file that lacks columns which every row needs.

        Raises:
            MissingColumns: naming those and the ones that are there.
        """
        record = self.record
        keys = (record.time_column, record.id_column, record.group_key, record.source_column)
        named = [self.target.column, *keys]
        require_columns(
            source, self.record, [name for name in named if name is not None], self.target.classes
        )

    def notes_of(self, source: Source) -> tuple[str, ...]:
        """What is said of columns that are not read, and nearly a field's that the file lacks."""
        return misspelt_columns(source, self.record, self.target)

    def read(self, batch: Batch) -> LabelledRows:
        """Check the rows of a batch."""
        table = batch.table
        checked = self.contract.check_table(table, batch.mixed, self.counts, batch.fetch)
        reasons: dict[int, list[str]] = {}
        for problem in checked.problems:
            reasons.setdefault(problem.row, []).append(problem.message)
        notes: Notes = {}
        labels, wrong = self.labels.check(read_values(table, self.target.column, batch.mixed), notes)
        self.counts.update(notes.values())
        _join(reasons, {row: text for row, text in enumerate(wrong) if text is not None})
        times, untimely = self._times(batch)
        _join(reasons, untimely)
        ids, unusable = self._ids(batch, self.record.id_column)
        _join(reasons, unusable)
        groups, unusable = self._ids(batch, self.record.group_key)
        _join(reasons, unusable)
        sources, nameless = self._sources(batch)
        _join(reasons, nameless)
        _join(reasons, dict(batch.reasons))
        good = np.array([row not in reasons for row in checked.rows.tolist()], dtype=bool)
        rows = checked.rows if len(good) and good.all() else checked.rows[good]
        kept = rows.tolist()
        return LabelledRows(
            checked.columns if len(rows) == len(checked.rows) else take(checked.columns, good),
            [labels[row] or "" for row in kept],
            [ids[row] for row in kept],
            times[rows],
            batch.lines[rows],
            _refused(batch, reasons),
            batch.fraction,
            None if self.record.group_key is None else [groups[row] for row in kept],
            None if sources is None else [sources[row] for row in kept],
        )

    def _times(self, batch: Batch) -> tuple[Any, dict[int, str]]:
        if self.record.time_column is None:
            return np.full(batch.table.num_rows, np.datetime64("NaT", "us")), {}
        return read_times(batch.table, self.record, batch.mixed, self.counts)

    def _sources(self, batch: Batch) -> tuple[list[str | None] | None, dict[int, str]]:
        """Names of sources; a cell that holds no value names none."""
        column = self.record.source_column
        if column is None:
            return None, {}
        names: list[str | None] = []
        bad: dict[int, str] = {}
        for row, value in enumerate(read_values(batch.table, column, batch.mixed)):
            try:
                names.append(read_source(value, self.record.missing))
            except ValueError as error:
                names.append(None)
                bad[row] = f"column '{column}': {error}"
        return names, bad

    def _ids(self, batch: Batch, column: str | None) -> tuple[list[str | None], dict[int, str]]:
        """What stands in a column of ids, and why it cannot be one, by row."""
        if column is None:
            return [None] * batch.table.num_rows, {}
        ids: list[str | None] = []
        bad: dict[int, str] = {}
        for row, value in enumerate(read_values(batch.table, column, batch.mixed)):
            try:
                own_id, note = read_id(value, self.record.missing)
            except ValueError as error:
                own_id, note = None, None
                bad[row] = f"column '{column}': {error}"
            ids.append(own_id)
            if note is not None:
                self.counts[note] += 1
        return ids, bad


def require_columns(
    source: Source, record: RecordConfig, named: Sequence[str], classes: Sequence[str] = ()
) -> None:
    """Refuse a file that lacks the columns `named`, or some that every record needs.

    Raises:
        MissingColumns: naming those and the ones that are there.
    """
    if source.columns is None:
        return
    present = list(source.columns)
    missing = [name for config in record.fields for name in needed_columns(config, present)]
    missing += [name for name in named if name not in present]
    if missing:
        missing = list(dict.fromkeys(missing))
        values = frozenset(
            [*classes, *(value for config in record.fields for value in config.categories or ())]
        )
        needed = {*named, *(config.source_column for config in record.fields)}
        has_no_header = not needed & set(present)
        read = needed | {name for config in record.fields for name in columns_read(config, present)}
        hints = explain_missing(missing, present, has_no_header=has_no_header, read=read, values=values)
        raise MissingColumns(source.name, missing, present, hints, has_no_header=has_no_header)


def misspelt_columns(source: Source, record: RecordConfig, target: TargetConfig) -> tuple[str, ...]:
    """A sentence for each column that is not read, and nearly a field's that the file lacks."""
    present = list(source.columns or ())
    others = (
        target.column, record.time_column, record.id_column, record.group_key, record.source_column
    )  # fmt: skip
    read = {name for config in record.fields for name in columns_read(config, present)}
    read |= {name for name in others if name is not None}
    absent = [
        config.source_column
        for config in record.fields
        if present and not set(columns_read(config, present)) & set(present)
    ]
    near = misspelt(absent, [name for name in present if name not in read], read)
    return tuple(
        f"column '{stray}' is not read; is '{name}' meant, which the file lacks?"
        for name, stray in near.items()
    )


def _join(reasons: dict[int, list[str]], more: dict[int, str]) -> None:
    for row, reason in more.items():
        reasons.setdefault(row, []).append(reason)


def _refused(batch: Batch, reasons: dict[int, list[str]]) -> tuple[RefusedRow, ...]:
    rows = sorted(reasons)
    held = batch.contents(rows)
    refused = [
        RefusedRow(int(batch.lines[row]), "; ".join(reasons[row]), content)
        for row, content in zip(rows, held, strict=True)
    ]
    refused += [RefusedRow(bad.line, bad.reason, {"line": bad.text}, "text") for bad in batch.bad]
    return tuple(sorted(refused, key=lambda row: row.line or 0))


def first_rows(source: Source, count: int, record: RecordConfig) -> Source:
    """The first `count` rows in time (without a time column: of the file); the file is held in memory."""
    batches = list(source.batches)
    if not batches:
        return source
    table, mixed = _join_batches(batches)
    lines = np.concatenate([batch.lines for batch in batches])
    order = np.arange(table.num_rows)
    if record.time_column is not None:
        order = np.argsort(read_times(table, record, mixed, Counter())[0], kind="stable")  # NaT comes last
    chosen = order[:count]
    bad = tuple(line for batch in batches for line in batch.bad)
    refused = _reasons_of(batches)
    own = {name: [values[row] for row in chosen.tolist()] for name, values in mixed.items()}
    reasons = {place: refused[row] for place, row in enumerate(chosen.tolist()) if row in refused}
    only = Batch(
        table.take(pa.array(chosen)), lines[chosen], bad, reasons=reasons, mixed=own, fetch=batches[0].fetch
    )
    return replace(source, batches=iter([only]))


def _join_batches(batches: Sequence[Batch]) -> tuple[pa.Table, dict[str, list[Any]]]:
    """All rows; a column of which batches have different types is one of values of several types."""
    schemas = [batch.table.schema for batch in batches]
    names = list(dict.fromkeys(name for schema in schemas for name in schema.names))
    kinds = {name: {schema.field(name).type for schema in schemas if name in schema.names} for name in names}
    mixed = {
        name: [value for batch in batches for value in read_values(batch.table, name, batch.mixed)]
        for name in names
        if len(kinds[name] - {pa.null()}) > 1 or any(name in batch.mixed for batch in batches)
    }
    plain = [batch.table.drop_columns([name for name in mixed if name in batch.table.column_names])
             for batch in batches]  # fmt: skip
    table = pa.concat_tables(plain, promote_options="permissive")
    for name, values in mixed.items():
        table = table.append_column(name, pa.nulls(len(values)))
    return table, mixed


def _reasons_of(batches: Sequence[Batch]) -> dict[int, str]:
    """Reasons of the batches, by position in all of them together."""
    reasons: dict[int, str] = {}
    before = 0
    for batch in batches:
        reasons.update({before + row: reason for row, reason in batch.reasons.items()})
        before += batch.table.num_rows
    return reasons


@dataclass(frozen=True)
class LabelledFile:
    """All valid rows of a file, in its order."""

    columns: Columns
    labels: list[str]
    refused: int
    """Rows that could not be used."""
    id_column: str | None = None
    """What tells rows apart: the column of `record.id_column`, else `id`; None: the file has neither."""
    ids: Sequence[str] = ()
    """What stands there in each row; empty where a row has none, or the file has no such column."""


def read_labelled_file(use_case: UseCase, path: Path) -> LabelledFile:
    """All valid rows of a file with their labels and ids.

    Raises:
        SourceError: the file cannot be read or lacks columns.
    """
    reader = RowReader(use_case)
    parts: list[LabelledRows] = []
    ids: list[str] = []
    name = use_case.record.id_column
    with closing(open_source(path, layout_of(use_case))) as source:
        reader.require_columns(source)
        for batch in source.batches:
            part = reader.read(batch)
            parts.append(part)
            if name is None and _PLAIN_ID in batch.table.column_names:
                name = _PLAIN_ID
            if name is not None:
                ids += _ids_of(batch, name, part.lines)
    if not parts:
        return LabelledFile(reader.contract.empty(), [], 0)
    labels = [label for part in parts for label in part.labels]
    if name is not None:  # batches may have come before the first with that column
        ids = [""] * (len(labels) - len(ids)) + ids
    refused = sum(len(part.refused) for part in parts)
    return LabelledFile(concat([part.columns for part in parts]), labels, refused, name, ids)


def _ids_of(batch: Batch, column: str, lines: np.ndarray[Any, np.dtype[np.int64]]) -> list[str]:
    """What stands in a column in the rows of these lines, as an id is written where it can be one."""
    values = read_values(batch.table, column, batch.mixed)
    rows = (values[row] for row in np.searchsorted(batch.lines, lines).tolist())
    return ["" if value is None else word_of(value) or str(value) for value in rows]


def read_labelled(use_case: UseCase, path: Path) -> tuple[Columns, list[str], int]:
    """All valid rows of a file with their labels, and how many rows were refused.

    Raises:
        SourceError: the file cannot be read or lacks columns.
    """
    read = read_labelled_file(use_case, path)
    return read.columns, read.labels, read.refused
