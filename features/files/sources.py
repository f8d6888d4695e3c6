"""Files and packaged data sets as batches of rows: CSV, JSONL, Parquet.

Reading is streaming: no more than one batch of a file is in memory. Lines that are no rows at
all come beside the batch, with the reason; nothing is dropped.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.errors import SourceError
from features.files.batches import (
    BATCH_BYTES,
    BATCH_ROWS,
    MAX_DEPTH,
    TOO_DEEP,
    BadLine,
    Batch,
    Source,
    is_too_deep,
    objects_table,
    repeats,
    table_source,
)
from features.files.csv_blocks import open_csv
from features.files.json_documents import is_document, parse_json, read_document


def open_source(path: Path) -> Source:
    """Open a file by its extension.

    Raises:
        SourceError: it cannot be read, has another extension, no header, or a damaged one.
    """
    for extension, opener in _OPENERS.items():
        if path.name.lower().endswith(extension):
            try:
                return _guarded(opener(path))
            except OSError as error:
                raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error
    raise SourceError(f"{path}: unknown kind of file; allowed: {', '.join(_OPENERS)}")


def _guarded(source: Source) -> Source:
    """Turn failures in the middle of a file into errors that name it."""

    def batches() -> Iterator[Batch]:
        try:
            yield from source.batches
        except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
            raise SourceError(f"{source.name}: damaged: {error}") from error

    return replace(source, batches=batches())


def open_bytes(path: Path) -> tuple[IO[bytes], Callable[[], float]]:
    """A file, unpacked where it ends in `.gz`, and how much of it has been read (0 to 1)."""
    size = max(1, path.stat().st_size)
    if not path.name.lower().endswith(".gz"):
        plain = path.open("rb")
        return plain, lambda: 1.0 if plain.closed else min(1.0, plain.tell() / size)
    packed: Any = gzip.GzipFile(path)
    return packed, lambda: min(1.0, packed.fileobj.tell() / size) if packed.fileobj else 1.0


def _open_csv(path: Path) -> Source:
    file, position = open_bytes(path)
    columns, batches = open_csv(file, path.name, position)
    return Source(path.name, columns, batches, file)


def _open_jsonl(path: Path) -> Source:
    file, position = open_bytes(path)
    return Source(path.name, None, _jsonl(file, position), file)


def _open_json(path: Path) -> Source:
    if not is_document(path):
        return _open_jsonl(path)
    return table_source(path.name, *objects_table(read_document(path)))


def _jsonl(file: IO[bytes], position: Callable[[], float]) -> Iterator[Batch]:
    with file:
        first = 1
        while lines := file.readlines(BATCH_BYTES):
            yield replace(_objects(lines, first), fraction=position())
            first += len(lines)


def _objects(lines: Sequence[bytes], first: int) -> Batch:
    rows: list[dict[str, Any]] = []
    places: list[int] = []
    bad: list[BadLine] = []
    for number, line in enumerate(lines, first):
        text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if not text.strip():
            continue
        try:
            row = parse_json(text)
        except ValueError as error:
            bad.append(BadLine(number, f"not JSON: {error}", _text(line)))
            continue
        if not isinstance(row, dict):
            bad.append(BadLine(number, "not a JSON object", _text(line)))
        elif text.count(b"[") + text.count(b"{") > MAX_DEPTH and is_too_deep(row):
            bad.append(BadLine(number, TOO_DEEP, _text(line)))
        else:
            rows.append(row)
            places.append(number)
    table, mixed = objects_table(rows)
    return Batch(table, np.array(places, dtype=np.int64), tuple(bad), mixed=mixed)


def _text(line: bytes) -> str:
    return line.rstrip(b"\r\n").decode(errors="replace")


def _open_parquet(path: Path) -> Source:
    try:
        file = pq.ParquetFile(path)
    except pa.ArrowException as error:
        raise SourceError(f"{path}: not a Parquet file: {error}") from error
    names = tuple(file.schema_arrow.names)
    if repeated := repeats(names):
        file.close()
        raise SourceError(f"{path}: column '{repeated}' stands there more than once")
    return Source(path.name, names, _parquet(file), file)


def _parquet(file: pq.ParquetFile) -> Iterator[Batch]:
    meta = file.metadata
    size = sum(meta.row_group(index).total_byte_size for index in range(meta.num_row_groups))
    rows = max(256, min(BATCH_ROWS, 4 * BATCH_BYTES * max(1, meta.num_rows) // max(1, size)))
    done = 0
    with file:
        for part in file.iter_batches(batch_size=rows):
            part.validate(full=True)  # text that is not UTF-8 would fail later, and less clearly
            lines = np.arange(done + 1, done + part.num_rows + 1)
            done += part.num_rows
            yield Batch(pa.Table.from_batches([part]), lines, fraction=done / meta.num_rows)


_OPENERS: dict[str, Callable[[Path], Source]] = {
    ".csv": _open_csv,
    ".csv.gz": _open_csv,
    ".json": _open_json,
    ".jsonl": _open_jsonl,
    ".jsonl.gz": _open_jsonl,
    ".parquet": _open_parquet,
}
