"""Answers of one version to one batch of a file, as a table: in this process, or wherever it was sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.files.batches import Batch
from features.pretrained.keeping import vectors_kept
from features.records.contract import CheckedRecords, Columns, take
from flows.compute import inside
from models.versions.predictor import Answers, Predictor

SLICE_ROWS = 2048
"""Rows that one thread encodes and answers at a time."""
LINE, LABEL, SCORE, PROBLEM = "line", "label", "score", "problem"
Mapper = Callable[[Callable[[Columns], Answers], Iterable[Columns]], Iterable[Answers]]
"""Asks about each slice, in order: `map`, or that of threads."""

_keeping = threading.Lock()


@dataclass(frozen=True)
class SentBatch:
    """A batch as it travels."""

    batch: Batch
    """Without the rows as they stand in the file, which only quarantine asks for."""
    checked: CheckedRecords | None = None
    """Its records, where they name pictures that only the machine of the file has."""


@dataclass(frozen=True)
class AnsweredBatch:
    """What became of a batch, wherever it was answered."""

    parquet: bytes
    rows: int
    refused: int
    answered_by: str
    seconds: float


def send_batch(predictor: Predictor, batch: Batch) -> SentBatch:
    """A batch as it travels; what it names beside the file is read now."""
    checked = None
    if batch.fetch is not None:
        checked = predictor.contract.check_table(batch.table, batch.mixed, fetch=batch.fetch)
    return SentBatch(replace(batch, originals=None, fetch=None), checked)


def answer_sent(artifact: Any, sent: SentBatch, home: Path | None = None) -> AnsweredBatch:
    """Answer a batch in a process of a pool.

    Args:
        artifact: shared folder of the version.
        home: where vectors of texts are kept, if that is on this machine.
    """
    started = time.monotonic()
    predictor = predictor_at(inside.folder_of(artifact))
    with vectors_kept(home or inside.own_folder(), threads=1, drives_out=False):
        table = answer_batch(predictor, sent.batch, map, sent.checked)
    problems = table[PROBLEM]
    refused = len(problems) - problems.null_count
    seconds = time.monotonic() - started
    return AnsweredBatch(as_parquet(table), table.num_rows, refused, inside.who_am_i(), seconds)


def answer_batch(
    predictor: Predictor, batch: Batch, ask_each: Mapper = map, checked: CheckedRecords | None = None
) -> pa.Table:
    """One row for each row and each bad line of a batch, in the order of the file.

    Args:
        checked: its records, where they have been read.
    """
    count = batch.table.num_rows
    if checked is None:
        checked = predictor.contract.check_table(batch.table, batch.mixed, fetch=batch.fetch)
    labels: list[str | None] = [None] * count
    scores = np.full(count, np.nan, dtype=np.float32)
    for rows, answers in zip(
        np.array_split(checked.rows, max(1, -(-len(checked.rows) // SLICE_ROWS))),
        ask_each(predictor.predict, _slices(checked.columns, len(checked.rows))),
        strict=True,
    ):
        scores[rows] = answers.scores
        for row, label in zip(rows.tolist(), answers.labels, strict=True):
            labels[row] = label
    problems: list[str | None] = [None] * count
    refused = predictor.problems(checked.columns)
    for one in refused:
        labels[checked.rows[one.row]], scores[checked.rows[one.row]] = None, np.nan
    in_file = (replace(one, row=int(checked.rows[one.row])) for one in refused)
    for problem in (*checked.problems, *in_file):
        before = problems[problem.row]
        problems[problem.row] = problem.message if before is None else f"{before}; {problem.message}"
    for row, reason in batch.reasons.items():
        before = problems[row]
        problems[row] = reason if before is None else f"{before}; {reason}"
        labels[row], scores[row] = None, np.nan
    columns = {LINE: pa.array(batch.lines, pa.int64())} | _ids(predictor, batch.table)
    columns |= {
        LABEL: pa.array(labels, pa.string()),
        SCORE: pa.array(scores, mask=np.isnan(scores)),
        PROBLEM: pa.array(problems, pa.string()),
    }
    table = pa.table(columns)
    if not batch.bad:
        return table
    lost = pa.table({LINE: [bad.line for bad in batch.bad], PROBLEM: [bad.reason for bad in batch.bad]})
    return pa.concat_tables([table, lost], promote_options="permissive").sort_by(LINE)


def _slices(columns: Columns, count: int) -> Iterator[Columns]:
    for rows in np.array_split(np.arange(count), max(1, -(-count // SLICE_ROWS))):
        yield take(columns, rows)


def _ids(predictor: Predictor, table: pa.Table) -> dict[str, Any]:
    """The column that tells rows apart: the configured one, else `id`."""
    candidates = (predictor.use_case.record.id_column, "id")
    name = next((name for name in candidates if name in table.column_names), None)
    if name is None:
        return {}
    return {name if name not in (LINE, LABEL, SCORE, PROBLEM) else f"record_{name}": table[name]}


def as_parquet(table: pa.Table) -> bytes:
    """The bytes of a file with these rows."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


@lru_cache(maxsize=2)
def _loaded(folder: Path) -> Predictor:
    return Predictor.load(folder)


def predictor_at(folder: Path) -> Predictor:
    """The version in a folder, loaded once by a process."""
    with _keeping:  # threads of one worker load it once
        return _loaded(folder)
