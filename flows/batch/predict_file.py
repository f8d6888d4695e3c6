"""Answers for a whole file: a row out for each row in, in order, and resumable.

Each batch of the file becomes a part, beside the output, which appears once it is whole. Parts that
are there already are not answered again, so that the same call goes on where the last was cut off,
with the version that began it.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.files.batches import Batch
from features.files.labelled_rows import require_columns
from features.files.layout import layout_of
from features.files.outputs import Formulas, join_parts
from features.files.sources import open_source
from features.records.contract import Columns, take
from models.versions.predictor import Predictor

SLICE_ROWS = 2048
"""Rows that one thread encodes and answers at a time."""
STATE = "state.json"
LINE, LABEL, SCORE, PROBLEM = "line", "label", "score", "problem"


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

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return asdict(self)


OnProgress = Callable[[FileProgress], None]


def begun_version(path: Path, output: Path) -> int | None:
    """The version that a call which was cut off has begun with; None when there is nothing to go on with."""
    try:
        state = json.loads((parts_folder(output) / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    version = state.get("version")
    return version if isinstance(version, int) and state == _state(path, version) else None


def predict_file(
    predictor: Predictor,
    version: int,
    path: Path,
    output: Path,
    *,
    formulas: Formulas = "disarm",
    progress: OnProgress | None = None,
) -> FileReport:
    """Answer every row of a CSV, JSONL or Parquet file.

    Columns of the output: the line in the file, the id column where there is one, label, its score,
    and for rows that cannot be answered what the problem is. In CSV a text that a spreadsheet would compute
    begins with an apostrophe, unless `formulas` are to be kept.

    Raises:
        SourceError: the file cannot be read or lacks columns; bad rows are no error.
        FileExistsError: the output is there already.
    """
    if output.exists():
        raise FileExistsError(f"{output} exists; name an output that does not")
    started = time.monotonic()
    folder = _open_folder(path, output, version)
    parts: list[Path] = []
    rows = refused = resumed = 0
    layout = layout_of(predictor.use_case)
    with closing(open_source(path, layout)) as source, ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        require_columns(source, predictor.use_case.record, ())
        for number, batch in enumerate(source.batches):
            part = folder / f"{number:06d}.parquet"
            if part.exists():
                problems = pq.read_table(part, columns=[PROBLEM])[PROBLEM]
                resumed += len(problems)
            else:
                problems = _write_part(part, answer_batch(predictor, batch, threads))
            parts.append(part)
            rows += len(problems)
            refused += len(problems) - problems.null_count
            if progress is not None:
                progress(FileProgress(rows, batch.fraction))
    if not parts:
        parts = [_no_rows(folder)]
    disarmed = join_parts(parts, output, formulas)
    shutil.rmtree(folder)
    seconds = round(time.monotonic() - started, 3)
    return FileReport(
        path.name, str(output), version, rows, rows - refused, refused, resumed, seconds, disarmed
    )


def answer_batch(predictor: Predictor, batch: Batch, threads: ThreadPoolExecutor) -> pa.Table:
    """One row for each row and each bad line of a batch, in the order of the file."""
    count = batch.table.num_rows
    checked = predictor.contract.check_table(batch.table, batch.mixed, fetch=batch.fetch)
    labels: list[str | None] = [None] * count
    scores = np.full(count, np.nan, dtype=np.float32)
    for rows, answers in zip(
        np.array_split(checked.rows, max(1, -(-len(checked.rows) // SLICE_ROWS))),
        threads.map(predictor.predict, _slices(checked.columns, len(checked.rows))),
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


def parts_folder(output: Path) -> Path:
    """Where the parts of an output are until it is whole."""
    return output.with_name(f".{output.name}.parts")


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


def _open_folder(path: Path, output: Path, version: int) -> Path:
    """The folder of parts, without those of another file or version."""
    folder = parts_folder(output)
    if begun_version(path, output) != version:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / STATE).write_text(json.dumps(_state(path, version)), encoding="utf-8")
    return folder


def _state(path: Path, version: int) -> dict[str, Any]:
    stat = path.stat()
    return {
        "file": str(path.absolute()), "bytes": stat.st_size, "changed": stat.st_mtime_ns, "version": version,
    }  # fmt: skip


def _write_part(part: Path, table: pa.Table) -> pa.ChunkedArray:
    """Its column of problems; the part appears whole, as one that is there is not answered again."""
    draft = part.with_name(f".{os.getpid()}.{part.name}")
    pq.write_table(table, draft)
    draft.replace(part)
    return table[PROBLEM]


def _no_rows(folder: Path) -> Path:
    path = folder / "none.parquet"
    kinds = {LINE: pa.int64(), LABEL: pa.string(), SCORE: pa.float32(), PROBLEM: pa.string()}
    pq.write_table(pa.schema(list(kinds.items())).empty_table(), path)
    return path
