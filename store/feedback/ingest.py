"""Labelled files into the store: checked, counted, and safe to repeat.

The next batch is checked while PostgreSQL takes the one before it. Each batch is a transaction:
after a kill the same file is simply read again, and what is there already counts as duplicate.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import psycopg

from configs.schema import UseCase
from features.errors import RefusedRow
from features.files.batches import Source, table_source
from features.files.datasets import as_configured, load_dataset
from features.files.labelled_rows import LabelledRows, RowReader, first_rows
from features.files.layout import layout_of
from features.files.sources import open_source
from features.records.contract import take
from store.feedback.identity import FirstContents, KeyCounts, digest, identities, keys_of
from store.feedback.insertion import FeedbackBatch, FeedbackCounts, add_feedback
from store.feedback.quarantine import quarantine


@dataclass(frozen=True)
class IngestReport:
    """What became of the rows of a file; `rows` is the sum of new, corrected, duplicates and quarantined."""

    file: str
    rows: int
    new: int
    corrected: int
    duplicates: int
    quarantined: int
    newly_quarantined: int
    """Of the quarantined rows, those that were not in quarantine before."""
    seconds: float
    notes: tuple[str, ...] = ()
    """What the file was taken for and nobody had declared: its separator, its encoding."""

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class IngestProgress:
    """How far a file has been read: rows so far, and the share of the file (0 to 1)."""

    rows: int
    fraction: float


OnProgress = Callable[[IngestProgress], None]


@dataclass(frozen=True)
class _Prepared:
    feedback: FeedbackBatch
    refused: tuple[RefusedRow, ...]


@dataclass(frozen=True)
class _Stored:
    counts: FeedbackCounts
    newly_quarantined: int

    def __add__(self, other: _Stored) -> _Stored:
        return _Stored(self.counts + other.counts, self.newly_quarantined + other.newly_quarantined)


def ingest_file(
    conn: psycopg.Connection[Any],
    use_case: UseCase,
    path: Path,
    *,
    rows: int | None = None,
    progress: OnProgress | None = None,
) -> IngestReport:
    """Check and store a CSV, JSONL or Parquet file of labelled records; batches are committed as they go.

    Args:
        conn: not in a transaction; nobody else may use it meanwhile.
        rows: take only this many rows, the first in time.
        progress: told after each batch.

    Raises:
        SourceError: the file cannot be read or lacks columns; bad rows are no error, they go to quarantine.
    """
    with closing(open_source(path, layout_of(use_case))) as source:
        return _ingest(conn, use_case, source, rows, progress)


def ingest_dataset(
    conn: psycopg.Connection[Any],
    use_case: UseCase,
    name: str,
    *,
    rows: int | None = None,
    progress: OnProgress | None = None,
) -> IngestReport:
    """Check and store a data set by its name (see `features.files.datasets`), as `ingest_file` does."""
    table = as_configured(use_case, load_dataset(name))
    return _ingest(conn, use_case, table_source(name, table), rows, progress)


def _ingest(
    conn: psycopg.Connection[Any],
    use_case: UseCase,
    source: Source,
    rows: int | None,
    progress: OnProgress | None,
) -> IngestReport:
    started = time.monotonic()
    reader = RowReader(use_case)
    reader.require_columns(source)
    if rows is not None:
        source = first_rows(source, rows, use_case.record.time_column, use_case.record.missing)
    conn.commit()
    stored, refused, rows_read = _Stored(FeedbackCounts(), 0), 0, 0
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ingest") as writer:
        pending: Future[_Stored] | None = None
        for prepared, fraction in _prepare(reader, source):
            if pending is not None:
                stored += pending.result()
            pending = writer.submit(_store, conn, use_case.name, source.name, prepared)
            refused += len(prepared.refused)
            rows_read += len(prepared.feedback) + len(prepared.refused)
            if progress is not None:
                progress(IngestProgress(rows_read, fraction))
        if pending is not None:
            stored += pending.result()
    counts = stored.counts
    return IngestReport(
        source.name, rows_read, counts.new, counts.corrected, counts.duplicates, refused,
        stored.newly_quarantined, round(time.monotonic() - started, 3), source.notes,
    )  # fmt: skip


def _store(conn: psycopg.Connection[Any], use_case: str, source: str, prepared: _Prepared) -> _Stored:
    with conn.transaction():
        counts = add_feedback(conn, use_case, prepared.feedback)
        newly = quarantine(conn, use_case, source, prepared.refused) if prepared.refused else 0
    return _Stored(counts, newly)


def _prepare(reader: RowReader, source: Source) -> Iterator[tuple[_Prepared, float]]:
    key_counts, first_contents = KeyCounts(), FirstContents()
    for batch in source.batches:
        rows = reader.read(batch)
        documents = reader.contract.to_json(rows.columns)
        contradicting = _contradicting(rows, documents, first_contents)
        if contradicting:
            rows, documents = _refuse_rows(rows, documents, contradicting)
        times = _time_texts(rows)
        names = identities(documents, ids=rows.ids, times=times, key_counts=key_counts)
        feedback = FeedbackBatch(names, documents, rows.labels, source.name, times)
        yield _Prepared(feedback, rows.refused), rows.fraction


def _contradicting(rows: LabelledRows, documents: list[str], first: FirstContents) -> set[int]:
    """Positions of rows whose id stood earlier in the file with another record or label."""
    with_id = [row for row, row_id in enumerate(rows.ids) if row_id is not None]
    if not with_id:
        return set()
    ids = keys_of(digest([str(rows.ids[row]) for row in with_id]))
    contents = keys_of(digest([f"{documents[row]}@{rows.labels[row]}" for row in with_id]))
    return {with_id[row] for row in np.flatnonzero(first.contradict(ids, contents)).tolist()}


def _refuse_rows(
    rows: LabelledRows, documents: list[str], positions: set[int]
) -> tuple[LabelledRows, list[str]]:
    """Refuse rows by position: which of two rows with one id is right cannot be known."""
    refused = tuple(
        RefusedRow(
            int(rows.lines[row]),
            f"id '{rows.ids[row]}' stands earlier in the file with another record or label",
            {"id": rows.ids[row], "label": rows.labels[row], "record": orjson.loads(documents[row])},
        )
        for row in sorted(positions)
    )
    keep = [row for row in range(len(documents)) if row not in positions]
    remaining = LabelledRows(
        take(rows.columns, keep),
        [rows.labels[row] for row in keep],
        [rows.ids[row] for row in keep],
        rows.times[keep],
        rows.lines[keep],
        rows.refused + refused,
        rows.fraction,
    )
    return remaining, [documents[row] for row in keep]


def _time_texts(rows: LabelledRows) -> list[str | None] | None:
    absent = np.isnat(rows.times)
    if absent.all():
        return None
    texts = np.char.add(np.datetime_as_string(rows.times, unit="us"), "Z").tolist()
    return [None if is_absent else text for text, is_absent in zip(texts, absent.tolist(), strict=True)]
