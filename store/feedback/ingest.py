"""Labelled files into the store: checked, counted, and safe to repeat.

The next batch is checked while PostgreSQL takes the one before it. Each batch is a transaction:
after a kill the same file is simply read again, and what is there already counts as duplicate.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field
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
from features.files.sources import open_source
from features.records.contract import take
from features.records.fields import MISSING, RESPELLED, TRIMMED
from store.feedback.identity import FirstContents, KeyCounts, digest, identities, keys_of
from store.feedback.insertion import FeedbackBatch, FeedbackCounts, add_feedback
from store.feedback.quarantine import quarantine

MOST_KINDS = 20
"""Markers and reasons that a report tells."""
MOST_REASON = 200
_ARRIVED = re.compile(r"((?:field|column) '[^']*': |label: )(got .*?|missing); (allowed: .*)", re.DOTALL)
_NOT_JSON = re.compile(r"^not JSON: .*$", re.DOTALL)


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
    taken_as_missing: dict[str, int] = field(default_factory=dict)
    """What stood for no value to how many cells held it; of more than 20, the most frequent."""
    trimmed: int = 0
    """Cells that lost blanks or invisible characters around what they hold."""
    respelled: int = 0
    """Categories, labels, ids and numbers that were written in another spelling than the one kept."""
    refused: dict[str, int] = field(default_factory=dict)
    """Why rows were refused to how many were; of more than 20, the most frequent."""

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
    with closing(open_source(path)) as source:
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
        source = first_rows(source, rows, use_case.record)
    conn.commit()
    stored, refused, rows_read = _Stored(FeedbackCounts(), 0), 0, 0
    reasons: Counter[str] = Counter()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ingest") as writer:
        pending: Future[_Stored] | None = None
        for prepared, fraction in _prepare(reader, source):
            if pending is not None:
                stored += pending.result()
            pending = writer.submit(_store, conn, use_case.name, source.name, prepared)
            refused += len(prepared.refused)
            reasons.update(reason_kind(row.reason) for row in prepared.refused)
            rows_read += len(prepared.feedback) + len(prepared.refused)
            if progress is not None:
                progress(IngestProgress(rows_read, fraction))
        if pending is not None:
            stored += pending.result()
    counts = stored.counts
    return IngestReport(
        source.name, rows_read, counts.new, counts.corrected, counts.duplicates, refused,
        stored.newly_quarantined, round(time.monotonic() - started, 3), _missing(reader.counts),
        reader.counts[TRIMMED], reader.counts[RESPELLED], dict(reasons.most_common(MOST_KINDS)),
    )  # fmt: skip


def reason_kind(reason: str) -> str:
    """A reason without what arrived, so that equal ones can be counted.

    >>> reason_kind("field 'n': got 'abc' (text); allowed: a number")
    "field 'n': allowed: a number"
    """
    match = _ARRIVED.fullmatch(reason)
    if match is None:
        return _NOT_JSON.sub("not JSON", reason)[:MOST_REASON]
    place, arrived, allowed = match.groups()
    return f"{place}{'missing; ' if arrived == 'missing' else ''}{allowed}"[:MOST_REASON]


def _missing(counts: Counter[str]) -> dict[str, int]:
    """What stood for no value, without the word before it."""
    of_missing = Counter(
        {note.removeprefix(MISSING): cells for note, cells in counts.items() if note.startswith(MISSING)}
    )
    return dict(of_missing.most_common(MOST_KINDS))


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
