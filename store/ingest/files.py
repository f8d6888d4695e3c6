"""Labelled files into the store: checked, counted, and safe to repeat.

The next batch is checked while PostgreSQL takes the one before it. Each batch is a transaction:
after a kill the same file is simply read again, and what is there already counts as duplicate.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psycopg

from configs.schema import UseCase
from features.errors import RefusedRow, RowKind
from features.files.batches import Batch, Lines, Source, table_source
from features.files.datasets import as_configured, load_dataset
from features.files.labelled_rows import LabelledRows, RowReader, first_rows
from features.files.layout import layout_of
from features.files.sources import open_source
from features.records.contract import take
from features.records.fences import FenceTally
from features.records.fields import MISSING, RESPELLED, TRIMMED
from store.feedback.corrections import FeedbackCounts
from store.feedback.event_times import future_problem, latest_allowed
from store.feedback.fences import production_fences
from store.feedback.identity import FirstContents, KeyCounts, digest, identities, keys_of
from store.feedback.insertion import FeedbackBatch, add_feedback
from store.feedback.sources import FILE, own_name
from store.quarantine.reasons import ReasonTally, RefusedReason
from store.quarantine.rows import lines_in_quarantine, quarantine, release_rows

MOST_KINDS = 20
"""Markers that a report tells."""


@dataclass(frozen=True)
class IngestReport:
    """What became of the rows of a file; `rows` is the sum of all that became of them."""

    file: str
    rows: int
    new: int
    corrected: int
    duplicates: int
    stale: int
    """Rows that say what was true before something newer that is stored, by whatever way that came."""
    quarantined: int
    newly_quarantined: int
    """Of the quarantined rows, those that were not in quarantine before."""
    seconds: float
    reasons: tuple[RefusedReason, ...] = ()
    """Why rows were quarantined, the reason of most rows first."""
    released: int = 0
    """Rows in quarantine from an earlier reading that are valid now, and have left it."""
    taken_as_missing: dict[str, int] = field(default_factory=dict)
    """What stood for no value to how many cells held it; of more than 20, the most frequent."""
    trimmed: int = 0
    """Cells that lost blanks or invisible characters around what they hold."""
    respelled: int = 0
    """Categories, labels, ids and numbers that were written in another spelling than the one kept."""
    notes: tuple[str, ...] = ()
    """What the file was taken for and nobody had declared: its separator, its encoding."""
    beyond_fence: tuple[str, ...] = ()
    """Values that are kept, though not plausible by what production learned from; a sentence a field."""
    outvoted: int = 0
    """Labels that are kept as what their source says, while other sources decide."""

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
class Prepared:
    """A batch that is checked: rows to store, where each stands, and those refused."""

    feedback: FeedbackBatch
    lines: Lines
    refused: tuple[RefusedRow, ...]
    was_refused: tuple[RefusedRow, ...] = ()
    """Valid rows on lines of which something is in quarantine, as they arrived."""


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
    with closing(open_source(path, layout_of(use_case))) as source:
        return _ingest(conn, use_case, source, rows, progress, door)


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
        _missing(reader.counts), reader.counts[TRIMMED], reader.counts[RESPELLED], source.notes,
        fences.sentences, counts.outvoted,
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
    lines = lines_in_quarantine(conn, use_case, source)
    conn.commit()
    return _Reading(use_case, source, now[0], lines, door)


def _store(conn: psycopg.Connection[Any], reading: _Reading, prepared: Prepared) -> _Stored:
    name, source, refused = reading.use_case, reading.source, prepared.refused
    with conn.transaction():
        counts = add_feedback(conn, name, prepared.feedback)
        released = release_rows(conn, name, source, prepared.was_refused) if prepared.was_refused else 0
        newly = quarantine(conn, name, source, refused, reading.began, said_by=reading.door) if refused else 0
    return _Stored(counts, newly, released)


def prepare(
    reader: RowReader,
    source: Source,
    in_quarantine: Lines | None = None,
    *,
    door: str = FILE,
    fences: FenceTally | None = None,
) -> Iterator[tuple[Prepared, float]]:
    """Check the rows of a source, a batch at a time, and say how far it has been read (0 to 1).

    Args:
        in_quarantine: lines of which something is in quarantine; valid rows there are told as they arrived.
        door: the source of labels of which the file names none.
        fences: is told of values beyond; None: there are no fences.
    """
    fences = fences or FenceTally()
    key_counts, first_contents = KeyCounts(), FirstContents()
    for batch in source.batches:
        rows = reader.read(batch)
        documents = reader.contract.to_json(rows.columns)
        unfit = _still_to_come(reader, rows)
        unfit = _beyond(fences, rows) | unfit
        unfit = _contradicting(rows, documents, first_contents, unfit) | unfit
        if unfit:
            rows, documents = _refuse_rows(batch, rows, documents, unfit)
        times = _time_texts(rows)
        names = identities(
            documents,
            ids=rows.ids,
            times=times,
            sources=None if rows.sources is None else [name or "" for name in rows.sources],
            key_counts=key_counts,
        )
        said_by = door if rows.sources is None else [own_name(door, name) for name in rows.sources]
        feedback = FeedbackBatch(
            names,
            documents,
            rows.labels,
            source.name,
            times,
            record_group=rows.groups,
            said_by=said_by,
            told_now=False,
        )
        was_refused = _was_refused(batch, rows, in_quarantine)
        yield Prepared(feedback, rows.lines, rows.refused, was_refused), rows.fraction


class Unfit(NamedTuple):
    """Why a row whose cells are valid is refused, and how it is tried again."""

    reason: str
    kind: RowKind


def _still_to_come(reader: RowReader, rows: LabelledRows) -> dict[int, Unfit]:
    """By position, rows whose time is in the future: one of 9999 would be the newest for ever."""
    future = np.flatnonzero(rows.times > np.datetime64(latest_allowed(), "us"))
    return {
        row: Unfit(future_problem(f"column '{reader.record.time_column}'", f"{rows.times[row]}Z"), "row")
        for row in future.tolist()
    }


def _beyond(fences: FenceTally, rows: LabelledRows) -> dict[int, Unfit]:
    """By position, rows beyond production's fences, where those are refused."""
    reasons: dict[int, list[str]] = {}
    for one in fences.check(rows.columns, rows.lines.tolist()):
        reasons.setdefault(one.row, []).append(one.reason)
    refused = reasons if fences.fences.refuses else {}
    return {row: Unfit("; ".join(parts), "row") for row, parts in refused.items()}


def _contradicting(
    rows: LabelledRows, documents: list[str], first: FirstContents, unfit: Collection[int]
) -> dict[int, Unfit]:
    """By position, rows whose id stood earlier in the file, at the same time or without one and of the
    same source, with another record or label: which of the two is right cannot be known.
    """
    with_id = [row for row, row_id in enumerate(rows.ids) if row_id is not None and row not in unfit]
    if not with_id:
        return {}
    sources = rows.sources or [None] * len(rows.ids)
    ids = keys_of(digest([f"{rows.ids[row]}@{rows.times[row]} {sources[row] or ''}" for row in with_id]))
    contents = keys_of(digest([f"{documents[row]}@{rows.labels[row]}" for row in with_id]))
    places = [with_id[row] for row in np.flatnonzero(first.contradict(ids, contents)).tolist()]
    return {
        row: Unfit(f"id '{rows.ids[row]}' stands earlier in the file with another record or label", "second")
        for row in places
    }


def _refuse_rows(
    batch: Batch, rows: LabelledRows, documents: list[str], reasons: Mapping[int, Unfit]
) -> tuple[LabelledRows, list[str]]:
    """Refuse rows by position."""
    places = sorted(reasons)
    refused = tuple(
        RefusedRow(line, reasons[row].reason, content, reasons[row].kind)
        for row, (line, content) in zip(places, _as_arrived(batch, rows.lines[places]), strict=True)
    )
    keep = [row for row in range(len(documents)) if row not in reasons]
    remaining = LabelledRows(
        take(rows.columns, keep),
        [rows.labels[row] for row in keep],
        [rows.ids[row] for row in keep],
        rows.times[keep],
        rows.lines[keep],
        rows.refused + refused,
        rows.fraction,
        None if rows.groups is None else [rows.groups[row] for row in keep],
        None if rows.sources is None else [rows.sources[row] for row in keep],
    )
    return remaining, [documents[row] for row in keep]


def _was_refused(batch: Batch, rows: LabelledRows, in_quarantine: Lines | None) -> tuple[RefusedRow, ...]:
    if in_quarantine is None or not len(in_quarantine):
        return ()
    lines = rows.lines[np.isin(rows.lines, in_quarantine)]
    return tuple(RefusedRow(line, "", content) for line, content in _as_arrived(batch, lines))


def _as_arrived(batch: Batch, lines: Lines) -> list[tuple[int, dict[str, Any]]]:
    """The cells of some rows of a batch, in order, each with its line."""
    held = batch.contents(np.flatnonzero(np.isin(batch.lines, lines)).tolist())
    return list(zip(lines.tolist(), held, strict=True))


def _time_texts(rows: LabelledRows) -> list[str | None] | None:
    absent = np.isnat(rows.times)
    if absent.all():
        return None
    texts = np.char.add(np.datetime_as_string(rows.times, unit="us"), "Z").tolist()
    return [None if is_absent else text for text, is_absent in zip(texts, absent.tolist(), strict=True)]
