"""Files and packaged data sets as batches of rows: CSV, JSONL, Parquet.

Reading is streaming: no more than one batch of a file is in memory. Lines that are no rows at
all come beside the batch, with the reason; nothing is dropped.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.errors import SourceError

BATCH_ROWS = 50_000
BATCH_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 100
TOO_DEEP = f"lists and objects within one another; allowed: a depth of {MAX_DEPTH}"
Lines = NDArray[np.int64]


class Closable(Protocol):
    """A file of any library."""

    def close(self) -> None:
        """Let go of it."""


@dataclass(frozen=True)
class BadLine:
    """A line that is no row: where it stands (from 1), why, and its text."""

    line: int
    reason: str
    text: str


@dataclass(frozen=True)
class Batch:
    """Rows of a file; `lines` says where each one begins (Parquet: its number), `fraction` how far we are."""

    table: pa.Table
    lines: Lines
    bad: tuple[BadLine, ...] = ()
    fraction: float = 1.0


@dataclass(frozen=True)
class Source:
    """Something to read rows from, to be closed; `columns` is None where each row names its own (JSONL)."""

    name: str
    columns: tuple[str, ...] | None
    batches: Iterator[Batch]
    file: Closable | None = None

    def close(self) -> None:
        """Let go of the file."""
        if self.file is not None:
            self.file.close()


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


def table_source(name: str, table: pa.Table) -> Source:
    """Rows that are in memory already."""
    return Source(name, tuple(table.column_names), _slices(table))


def _slices(table: pa.Table) -> Iterator[Batch]:
    step = max(256, min(BATCH_ROWS, 4_000_000 // max(1, table.nbytes // max(1, table.num_rows))))
    for start in range(0, table.num_rows, step):
        part = table.slice(start, step)
        end = start + part.num_rows
        yield Batch(part, np.arange(start + 1, end + 1), fraction=end / table.num_rows)


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
    from features.delimited import open_csv

    file, position = open_bytes(path)
    columns, batches = open_csv(file, path.name, position)
    return Source(path.name, columns, batches, file)


def _open_jsonl(path: Path) -> Source:
    file, position = open_bytes(path)
    return Source(path.name, None, _jsonl(file, position), file)


def _open_json(path: Path) -> Source:
    from features.documents import is_document, read_document

    if not is_document(path):
        return _open_jsonl(path)
    return table_source(path.name, objects_table(read_document(path)))


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
            row = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            bad.append(BadLine(number, f"not JSON: {error}", _text(line)))
            continue
        if not isinstance(row, dict):
            bad.append(BadLine(number, "not a JSON object", _text(line)))
        elif text.count(b"[") + text.count(b"{") > MAX_DEPTH and is_too_deep(row):
            bad.append(BadLine(number, TOO_DEEP, _text(line)))
        else:
            rows.append(row)
            places.append(number)
    return Batch(objects_table(rows), np.array(places, dtype=np.int64), tuple(bad))


def is_too_deep(row: Any) -> bool:
    """Whether lists and objects of a row are within one another more often than any record needs."""
    level, depth = [row] if isinstance(row, dict | list) else [], 0
    while level and depth <= MAX_DEPTH:
        inner = (one.values() if isinstance(one, dict) else one for one in level)
        level = [value for values in inner for value in values if isinstance(value, dict | list)]
        depth += 1
    return depth > MAX_DEPTH


def objects_table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Columns of JSON objects; a column of mixed types becomes text (each value as JSON)."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({name: _column([row.get(name) for row in rows]) for name in names})


def _column(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        texts = [
            value if value is None or isinstance(value, str) else orjson.dumps(value).decode()
            for value in values
        ]
        return pa.array(texts, pa.string())


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


def repeats(names: Sequence[str]) -> str | None:
    """The first name that stands there more than once, if any."""
    return next((name for index, name in enumerate(names) if name in names[:index]), None)


_OPENERS: dict[str, Callable[[Path], Source]] = {
    ".csv": _open_csv,
    ".csv.gz": _open_csv,
    ".json": _open_json,
    ".jsonl": _open_jsonl,
    ".jsonl.gz": _open_jsonl,
    ".parquet": _open_parquet,
}
