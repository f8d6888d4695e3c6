"""Labelled files into the store: checked, counted, and safe to repeat.

The next batch is checked while PostgreSQL takes the one before it. Each batch is a transaction:
after a kill the same file is simply read again, and what is there already counts as duplicate.
"""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from configs.schema import UseCase
from features.files.batches import Lines, Source, table_source
from features.files.changing import change_notes, file_status
from features.files.datasets import as_configured, load_dataset
from features.files.labelled_rows import RowReader, first_rows
from features.files.layout import layout_of
from features.files.sources import open_source
from features.records.fences import FenceTally
from features.records.fields import MISSING, RESPELLED, TRIMMED
from store.feedback.corrections import FeedbackCounts
from store.feedback.fences import production_fences
from store.feedback.insertion import add_feedback
from store.feedback.rows import last_arrival
from store.feedback.sources import FILE
from store.ingest.checked_batches import Prepared, prepare
from store.ingest.report import IngestProgress, IngestReport, OnProgress
from store.quarantine.reasons import ReasonTally
from store.quarantine.rows import lines_in_quarantine, quarantine, release_rows

MOST_KINDS = 20
"""Markers that a report tells."""


@dataclass(frozen=True)
class _Stored:
    counts: FeedbackCounts = field(default_factory=FeedbackCounts)
    newly_quarantined: int = 0
    released: int = 0

    def __add__(self, other: _Stored) -> _Stored:
        return _Stored(
            self.counts + other.counts,
            self.newly_quarantined + other.newly_quarantined,
            self.released + other.released,
        )


@dataclass(frozen=True)
class _Reading:
    """One reading of a source: what is in quarantine of it, and when it began."""

    use_case: str
    source: str
    began: datetime
    last_seq: int
    """The number of the newest label then."""
    in_quarantine: Lines
    door: str


def ingest_file(
    conn: psycopg.Connection[Any],
    use_case: UseCase,
    path: Path,
    *,
    rows: int | None = None,
    progress: OnProgress | None = None,
    door: str = FILE,
) -> IngestReport:
    """Check and store a CSV, JSONL or Parquet file of labelled records; batches are committed as they go.

    Args:
        conn: not in a transaction; nobody else may use it meanwhile.
        rows: take only this many rows, the first in time.
        progress: told after each batch.
        door: the source of its labels, whatever the file is called: one that was mended corrects itself.

    Raises:
        SourceError: the file cannot be read or lacks columns; bad rows are no error, they go to quarantine.
    """
    before = file_status(path)
    with closing(open_source(path, layout_of(use_case))) as source:
        report = _ingest(conn, use_case, source, rows, progress, door)
    return replace(report, notes=(*report.notes, *change_notes(path, before)))


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
    return _ingest(conn, use_case, table_source(name, table), rows, progress, FILE)


def _ingest(
    conn: psycopg.Connection[Any],
    use_case: UseCase,
    source: Source,
    rows: int | None,
    progress: OnProgress | None,
    door: str,
) -> IngestReport:
    started = time.monotonic()
    reader = RowReader(use_case)
    reader.require_columns(source)
    if rows is not None:
        source = first_rows(source, rows, use_case.record)
    reading = _begin(conn, use_case.name, source.name, door)
    fences = FenceTally(production_fences(conn, use_case))
    conn.commit()
    stored, tally, rows_read = _Stored(), ReasonTally(), 0
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ingest") as writer:
        pending: Future[_Stored] | None = None
        for prepared, fraction in prepare(reader, source, reading.in_quarantine, door=door, fences=fences):
            if pending is not None:
                stored += pending.result()
            pending = writer.submit(_store, conn, reading, prepared)
            tally.add(source.name, prepared.refused)
            rows_read += len(prepared.feedback) + len(prepared.refused)
            if progress is not None:
                progress(IngestProgress(rows_read, fraction))
        if pending is not None:
            stored += pending.result()
    counts = stored.counts
    return IngestReport(
        source.name, rows_read, counts.new, counts.corrected, counts.duplicates, counts.stale, tally.rows,
        stored.newly_quarantined, round(time.monotonic() - started, 3), tally.reasons, stored.released,
        _missing(reader.counts), reader.counts[TRIMMED], reader.counts[RESPELLED],
        (*source.notes, *reader.notes_of(source)), fences.sentences, counts.outvoted,
    )  # fmt: skip


def _missing(counts: Counter[str]) -> dict[str, int]:
    """What stood for no value, without the word before it."""
    of_missing = Counter(
        {note.removeprefix(MISSING): cells for note, cells in counts.items() if note.startswith(MISSING)}
    )
    return dict(of_missing.most_common(MOST_KINDS))


def _begin(conn: psycopg.Connection[Any], use_case: str, source: str, door: str) -> _Reading:
    now = conn.execute("SELECT clock_timestamp()").fetchone()
    assert now is not None
    last_seq, lines = last_arrival(conn, use_case), lines_in_quarantine(conn, use_case, source)
    conn.commit()
    return _Reading(use_case, source, now[0], last_seq, lines, door)


def _store(conn: psycopg.Connection[Any], reading: _Reading, prepared: Prepared) -> _Stored:
    name, source, refused = reading.use_case, reading.source, prepared.refused
    with conn.transaction():
        counts = add_feedback(conn, name, prepared.feedback)
        released = release_rows(conn, name, source, prepared.was_refused) if prepared.was_refused else 0
        newly = 0
        if refused:
            newly = quarantine(
                conn, name, source, refused, reading.began, last_seq=reading.last_seq, said_by=reading.door
            )
    return _Stored(counts, newly, released)
