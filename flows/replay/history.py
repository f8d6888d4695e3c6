"""The labelled rows that a replay plays, oldest first, and the periods that they are cut into."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from configs.schema import RecordConfig, UseCase
from configs.times.durations import read_duration, write_duration
from features.errors import SourceError
from features.files.labelled_rows import LabelledRows, RowReader
from features.files.layout import layout_of
from features.files.sources import open_source
from features.records.contract import Columns, LabelContract, RecordContract, concat
from store.feedback.identity import digest, keys_of
from store.feedback.rows import NO_KEY, FeedbackRows, read_feedback
from store.history.draws import Shares, read_draw
from store.predictions.audits import answering_rows, audited_rows
from store.snapshots.files import content_digest
from store.snapshots.uses import TRAIN

USUAL_PERIODS = 60
"""As many are made of a history where nobody says how long one is."""
Places = NDArray[np.intp]
"""Of rows in a history."""


@dataclass(frozen=True)
class History:
    """Labelled rows in the order in which their labels came."""

    rows: FeedbackRows
    source: str
    """The file, or that they are the stored ones."""
    refused: int = 0
    """Rows of the file that cannot be used."""
    refusal: str | None = None
    """Where the first of them stands, and why."""
    shares: Shares | None = None
    """Place in 0..1 of each row, by which the store holds rows out, shape (n,); None: a file, of which the
    seed decides."""
    audited: NDArray[np.bool_] | None = None
    """Rows that label an audited answer, shape (n,), which are held out first; None: there are none."""
    answering: NDArray[np.bool_] | None = None
    """Rows that label an answer, shape (n,); None: there are none."""

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def digest(self) -> str:
        """SHA-256 in hex of the rows and their order."""
        hashed = hashlib.sha256(content_digest(self.rows, np.full(len(self), TRAIN, dtype=object)).encode())
        for keys in (self.rows.ids, self.rows.contents, self.rows.groups):
            hashed.update(keys.tobytes())
        return hashed.hexdigest()


@dataclass(frozen=True)
class Periods:
    """Where a history is cut: period p holds the rows `bounds[p]` to `bounds[p + 1]`."""

    bounds: tuple[int, ...]
    first: int
    """So many periods are what the first model learns from; those after them are played."""

    @property
    def played(self) -> range:
        """Numbers of the periods that a model answers before their labels come."""
        return range(self.first, len(self.bounds) - 1)

    def rows(self, period: int) -> Places:
        """Places of its rows."""
        return np.arange(self.bounds[period], self.bounds[period + 1])


def read_stored(conn: psycopg.Connection[Any], use_case: UseCase) -> History:
    """The labels that the store has of a use case, as if they had come in the order of their times.

    What is older may have come later, as from a file of last year. By their own numbers rows would then be of
    other periods than those that they are played in, and shadows be asked about rows that they learned from.
    """
    contract, labels = (
        RecordContract(use_case.record),
        LabelContract(use_case.target, use_case.record.missing),
    )
    rows = read_feedback(conn, use_case.name, contract, labels=labels)
    audited = np.isin(rows.seq, audited_rows(conn, use_case.name))
    answering = np.isin(rows.seq, answering_rows(conn, use_case.name))
    shares = read_draw(conn).shares(rows)
    rows = replace(rows, seq=np.arange(1, len(rows) + 1, dtype=np.int64))
    return History(rows, "the store", shares=shares, audited=audited, answering=answering)


def read_file(use_case: UseCase, path: Path) -> History:
    """The labelled rows of a file, in the order of their times where they have any, else of the file.

    Raises:
        SourceError: it cannot be read, or has no row that can be used.
    """
    reader = RowReader(use_case)
    with closing(open_source(path, layout_of(use_case))) as source:
        reader.require_columns(source)
        parts = [reader.read(batch) for batch in source.batches]
    refused = [one for part in parts for one in part.refused]
    refusal = f"line {refused[0].line}: {refused[0].reason}" if refused else None
    if not sum(len(part.labels) for part in parts):
        raise SourceError(f"{path}: no row can be used: {_why_none(len(refused), refusal)}")
    return History(_in_time(use_case.record, parts), str(path), len(refused), refusal)


def cut(history: History, period: int | timedelta, first: int) -> Periods:
    """Periods of so many rows, or of so much time; what is left at the end counts where it is half a one.

    Raises:
        SourceError: there are too few rows to play any, or rows have no times to be cut by.
    """
    if not len(history):
        raise SourceError(f"{history.source} has no labelled row; name a file with `--data`, or ingest some")
    if not isinstance(period, int) and np.isnat(history.rows.time).any():
        raise SourceError(
            f"{history.source}: rows without a time cannot be cut by time; name a number of rows with "
            "`--periods`, or the column of times as `record.time_column` of the use case"
        )
    bounds = _every(len(history), period) if isinstance(period, int) else _by_time(history.rows.time, period)
    periods = Periods(tuple(bounds), first)
    if not len(periods.played):
        length = f"{period:,} rows" if isinstance(period, int) else write_duration(period)
        raise SourceError(
            f"{_many(len(history), 'row')} make {_many(len(bounds) - 1, 'period')} of {length}; the first "
            f"{first} are learned from, and one at least must be left to play: name shorter ones with "
            "`--periods`, or fewer with `--first`"
        )
    return periods


def read_period(text: str) -> int | timedelta:
    """What `--periods` says: a number of rows, or hours, days or weeks as in `12h`, `1d`, `2w`.

    Raises:
        ValueError: it says neither.
    """
    if text.isdigit() and int(text) > 0:
        return int(text)
    try:
        return read_duration(text)
    except ValueError:
        allowed = "a number of rows such as 500, or a time such as 12h, 1d or 2w"
        raise ValueError(f"{text!r}; allowed: {allowed}") from None


def usual_period(history: History, least: int) -> int:
    """Rows of a period where nobody says: a sixtieth of the history, at least `least`."""
    return max(least, len(history) // USUAL_PERIODS)


def _why_none(refused: int, refusal: str | None) -> str:
    if refusal is None:
        return "there is none below the names of the columns"
    return f"all {refused:,} are refused, the first for {refusal}" if refused > 1 else refusal


def _many(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def _every(rows: int, size: int) -> list[int]:
    bounds = list(range(0, rows + 1, size))
    return [*bounds, rows] if 2 * (rows - bounds[-1]) >= size else bounds


def _by_time(times: NDArray[np.datetime64], length: timedelta) -> list[int]:
    """Periods without a row are left out."""
    number = (times - times[0]) // np.timedelta64(length)
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    whole = bool((times[-1] - times[0]) % np.timedelta64(length) * 2 >= np.timedelta64(length))
    return [*starts.tolist(), len(times)] if whole or len(starts) == 1 else starts.tolist()


def _in_time(record: RecordConfig, parts: Sequence[LabelledRows]) -> FeedbackRows:
    """Rows of a file as if they had been stored, in the order of time."""
    columns = concat([part.columns for part in parts])
    labels = np.array([label for part in parts for label in part.labels], dtype=object)
    times = np.concatenate([part.times for part in parts]).astype("datetime64[us]")
    names = np.array([f"r:{row}" for row in range(len(labels))], dtype=object)
    seq = np.arange(1, len(labels) + 1, dtype=np.int64)
    ids = _keys([own_id for part in parts for own_id in part.ids])
    contents = _keys(RecordContract(record).to_json(columns))
    order = np.argsort(times, kind="stable") if not np.isnat(times).all() else np.arange(len(labels))
    rows = FeedbackRows(columns, labels, names, seq, times, ids, contents, _groups(record, columns, parts))
    return replace(rows.take(order), seq=seq, identities=names)


def _groups(record: RecordConfig, columns: Columns, parts: Sequence[LabelledRows]) -> NDArray[np.int64]:
    """What rows are grouped by, a field or a column beside the fields, as numbers."""
    if record.group is not None and record.group in columns:
        return _keys([None if value is None else str(value) for value in columns[record.group].tolist()])
    return _keys([key for part in parts for key in part.groups or [None] * len(part.labels)])


def _keys(names: Sequence[str | None]) -> NDArray[np.int64]:
    """A number for each name, shape (n,); `NO_KEY` for none."""
    numbers = keys_of(digest([name or "" for name in names])).view(np.int64)
    return np.where([name is None for name in names], NO_KEY, numbers)
