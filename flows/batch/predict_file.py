"""Answers for a whole file: a row out for each row in, in order, and resumable.

Each batch of the file becomes a part, beside the output, which appears once it is whole. Parts that
are there already are not answered again, so that the same call goes on where the last was cut off,
with the version that began it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from features.files.batches import Source
from features.files.changing import change_notes, file_status
from features.files.labelled_rows import misspelt_columns, require_columns
from features.files.layout import layout_of
from features.files.outputs import Formulas, join_parts
from features.files.sources import open_source
from flows.batch.answering import PROBLEM, AnsweredBatch, answer_batch, answer_sent, as_parquet, send_batch
from flows.batch.parts import Joined, Parts, finish_whole, first_line, open_parts
from flows.compute.contract import Pool, as_done
from models.versions.predictor import Predictor
from store.file_answers import FileLedger


@dataclass(frozen=True)
class FileProgress:
    """How far a file is answered: rows so far, and the share of the file (0 to 1)."""

    rows: int
    fraction: float


@dataclass(frozen=True)
class FileReport:
    """What became of the rows of a file; `rows` is the sum of answered and refused ones."""

    file: str
    output: str
    version: int
    rows: int
    answered: int
    refused: int
    resumed: int
    """Rows that an earlier call had answered."""
    seconds: float
    disarmed: int = 0
    """Cells of a CSV file that a spreadsheet would have computed, and that begin with an apostrophe now."""
    notes: tuple[str, ...] = ()
    """Columns that are not read, and nearly a field's that the file lacks."""

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class AnsweredBy:
    """A pool that answers, and what it needs for that."""

    pool: Pool
    artifact: Path
    """Folder of the version."""
    home: Path
    """Where vectors of texts are kept on this machine."""


OnProgress = Callable[[FileProgress], None]


def predict_file(
    predictor: Predictor,
    version: int,
    path: Path,
    output: Path,
    *,
    formulas: Formulas = "disarm",
    progress: OnProgress | None = None,
    ledger: FileLedger | None = None,
    by: AnsweredBy | None = None,
) -> FileReport:
    """Answer every row of a CSV, JSONL or Parquet file.

    Columns of the output: the line in the file, the id column where there is one, label, its score,
    and for rows that cannot be answered what the problem is. In CSV a text that a spreadsheet would compute
    begins with an apostrophe, unless `formulas` are to be kept.

    Args:
        ledger: notes which parts are done; None: those are that are there.
        by: who answers; None: threads of this process.

    Raises:
        SourceError: the file cannot be read or lacks columns; bad rows are no error.
        FileExistsError: the output is there already.
        FileBusy: another process answers into it.
        ComputeError: the pool cannot do it; what it has answered is kept.
    """
    started, before = time.monotonic(), file_status(path)
    if output.exists():
        if (whole := finish_whole(path, output, version, ledger)) is None:
            raise FileExistsError(f"{output} exists; name an output that does not")
        return _report(path, output, version, whole, whole.rows, started)  # notes were of the earlier call
    parts = open_parts(path, output, version, ledger)
    with closing(open_source(path, layout_of(predictor.use_case))) as source:
        use_case = predictor.use_case
        require_columns(source, use_case.record, ())
        notes = misspelt_columns(source, use_case.record, use_case.target)
        answered = _by_threads if by is None else _by_pool(by)
        for fraction in answered(predictor, source, parts):
            if progress is not None:
                progress(FileProgress(parts.rows, fraction))
    draft = parts.draft_of(output)
    whole = parts.put_in_place(draft, output, join_parts(parts.in_order, draft, formulas))
    parts.finish()
    notes = (*notes, *change_notes(path, before))
    return _report(path, output, version, whole, parts.resumed, started, notes)


def _report(
    path: Path,
    output: Path,
    version: int,
    whole: Joined,
    resumed: int,
    started: float,
    notes: tuple[str, ...] = (),
) -> FileReport:
    return FileReport(
        path.name,
        str(output),
        version,
        whole.rows,
        whole.rows - whole.refused,
        whole.refused,
        resumed,
        round(time.monotonic() - started, 3),
        whole.disarmed,
        notes,
    )


def _by_threads(predictor: Predictor, source: Source, parts: Parts) -> Iterator[float]:
    """Answer batch by batch, slices of each side by side; gives how far the file is read, after each."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        for number, batch in enumerate(source.batches):
            if not parts.take_up(number, batch):
                began = time.monotonic()
                table = answer_batch(predictor, batch, threads.map)
                refused = table.num_rows - table[PROBLEM].null_count
                by, seconds = f"process {os.getpid()}", time.monotonic() - began
                part = AnsweredBatch(as_parquet(table), table.num_rows, refused, by, seconds)
                parts.keep(number, first_line(batch), part)
            yield batch.fraction


def _by_pool(by: AnsweredBy) -> Callable[[Predictor, Source, Parts], Iterator[float]]:
    """The same by a pool, batches side by side, and no more of them in memory than it can begin soon."""

    def answered(predictor: Predictor, source: Source, parts: Parts) -> Iterator[float]:
        artifact = by.pool.share_folder(by.artifact)
        home = by.home if by.pool.is_here else None
        fractions: dict[int, float] = {}
        begins: dict[int, int] = {}

        def waiting() -> Iterator[tuple[int, tuple[Any, ...]]]:
            for number, batch in enumerate(source.batches):
                fractions[number] = batch.fraction
                if not parts.take_up(number, batch):
                    begins[number] = first_line(batch)
                    yield number, (artifact, send_batch(predictor, batch), home)

        for number, part in as_done(by.pool, answer_sent, waiting()):
            parts.keep(number, begins.pop(number), part)
            yield fractions.pop(number)

    return answered
