"""CSV (RFC 4180, comma, UTF-8) in blocks: quickly where a block is regular, carefully where it is not.

A block in which every line is one well-formed row goes through Arrow's parser. Any other block
(quoted line ends, wrong widths, stray quotes, undecodable bytes, blank lines) is read row by
row, so that each bad line is known by its number and the rows around it are kept.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from features.errors import SourceError
from features.files.batches import BATCH_BYTES, BadLine, Batch, repeats

MAX_RECORD_BYTES = 4 * 1024 * 1024
MAX_HEADER_LINES = 100
MAX_LINE_BYTES = 64 * 1024 * 1024
OPEN_QUOTE = "a quote is never closed"
_END = "\x00end of block"
Columns = tuple[str, ...]


def open_csv(
    file: IO[bytes], name: str, position: Callable[[], float], block_bytes: int = BATCH_BYTES
) -> tuple[Columns, Iterator[Batch]]:
    """Read the header; batches are read as they are asked for, about `block_bytes` at a time.

    Raises:
        SourceError: there is no header, or it cannot be used.
    """
    csv.field_size_limit(MAX_LINE_BYTES)  # fields are bounded by the contract, not by the parser
    try:
        columns, line = _read_header(file, name)
    except BaseException:
        file.close()
        raise
    return columns, _read_rows(file, name, columns, line + 1, position, block_bytes)


def _read_header(file: IO[bytes], name: str) -> tuple[Columns, int]:
    """Names of the columns, and the number of their last line."""
    pending: list[str] = []
    for number in range(1, MAX_HEADER_LINES + 1):
        raw = file.readline(MAX_RECORD_BYTES)
        if not raw:
            break
        try:
            pending.append(raw.decode("utf-8-sig" if number == 1 else "utf-8"))
        except UnicodeDecodeError as error:
            raise SourceError(f"{name}: the header is not UTF-8 text: {error}") from error
        if "\r" in pending[-1].rstrip("\r\n"):
            raise SourceError(f"{name}: lines end with carriage returns; allowed: line feeds, or CR LF")
        record = _record(pending, 0)
        if record.problem is None and record.values:
            return _column_names(record.values, name), number
        if record.problem is None:
            pending.clear()
    if pending:
        raise SourceError(f"{name}: the header cannot be read: {record.problem}")
    raise SourceError(f"{name}: empty; allowed: a line with the names of the columns, then rows")


def _column_names(values: list[str], name: str) -> Columns:
    columns = tuple(value.strip() or f"column {index}" for index, value in enumerate(values, 1))
    if repeated := repeats(columns):
        raise SourceError(f"{name}: column '{repeated}' stands there more than once")
    return columns


def _read_rows(
    file: IO[bytes], name: str, columns: Columns, line: int, position: Callable[[], float], size: int
) -> Iterator[Batch]:
    with file:
        rest = b""
        while True:
            chunk = file.read(size)
            data = rest + chunk
            block = data if not chunk else data[: data.rfind(b"\n") + 1]
            if len(data) - len(block) > MAX_LINE_BYTES:
                raise SourceError(f"{name}: line {line} is longer than {MAX_LINE_BYTES >> 20} MB")
            read = _regular(block, columns, line) or _careful(block, columns, line, final=not chunk)
            if read.batch.table.num_rows or read.batch.bad:
                yield Batch(read.batch.table, read.batch.lines, read.batch.bad, position())
            if not chunk:
                return
            rest = data[read.consumed_bytes :]
            line += read.consumed_lines


@dataclass(frozen=True)
class _Read:
    """What became of a block; the rest of it must wait for the next one."""

    batch: Batch
    consumed_bytes: int
    consumed_lines: int


def _regular(block: bytes, columns: Columns, line: int) -> _Read | None:
    """The block as Arrow reads it, or None unless every line of it is one row."""
    lines = block.count(b"\n") + (not block.endswith(b"\n"))
    if not block or (b"\r" in block and block.count(b"\r") != block.count(b"\r\n")):
        return None
    try:
        table = pacsv.read_csv(
            pa.BufferReader(pa.py_buffer(block)),
            read_options=pacsv.ReadOptions(column_names=list(columns), block_size=1 << 20),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid:
        return None
    if table.num_rows != lines or (b'"' in block and _is_open(block, table)):
        return None
    return _Read(Batch(table, np.arange(line, line + lines)), len(block), lines)


def _is_open(block: bytes, table: pa.Table) -> bool:
    """Whether the last row ends within quotes: Arrow then takes the end of the block for their end."""
    last = table.slice(table.num_rows - 1).to_pylist()[0]
    return block.count(b'"') % 2 == 1 or any("\n" in value for value in last.values())


def _careful(block: bytes, columns: Columns, line: int, *, final: bool) -> _Read:
    """The block row by row; a record whose quotes are open at the end waits, unless it is the last block."""
    raw = io.BytesIO(block).readlines()
    texts = [text.decode("utf-8", "surrogateescape") for text in raw]
    rows: list[list[str]] = []
    places: list[int] = []
    bad: list[BadLine] = []
    at = 0
    while at < len(texts):
        record = _record(texts, at)
        if record.problem == OPEN_QUOTE and not final and sum(map(len, raw[at:])) < MAX_RECORD_BYTES:
            break
        problem = record.problem or _misfit(record.values, len(columns))
        if problem is not None:
            bad.append(BadLine(line + at, problem, raw[at].rstrip(b"\r\n").decode(errors="replace")))
        elif record.values:
            rows.append(record.values)
            places.append(line + at)
        at += 1 if problem else record.lines  # an open quote may have swallowed good rows: read them again
    table = pa.table(
        {name: pa.array([row[index] for row in rows], pa.string()) for index, name in enumerate(columns)}
    )
    batch = Batch(table, np.array(places, dtype=np.int64), tuple(bad))
    return _Read(batch, sum(map(len, raw[:at])), at)


@dataclass(frozen=True)
class _Record:
    """Values of a row (none for a blank line) and the lines it spans, or what is wrong with its first."""

    values: list[str]
    lines: int = 1
    problem: str | None = None


def _record(lines: Sequence[str], at: int) -> _Record:
    """The row that begins at line `at`."""
    line = lines[at]
    if '"' not in line:
        text = line.rstrip("\r\n")
        return _Record(text.split(",") if text else [])
    reader = csv.reader(chain((lines[index] for index in range(at, len(lines))), (_END,)), strict=True)
    try:
        return _Record(next(reader), reader.line_num)
    except csv.Error:
        if reader.line_num > len(lines) - at:
            return _Record([], problem=OPEN_QUOTE)
    # A stray quote is taken as it is, but may not reach into other lines.
    lenient = csv.reader((line, _END))
    try:
        values = next(lenient)
    except csv.Error as error:
        return _Record([], problem=str(error))
    return _Record(values) if lenient.line_num == 1 else _Record([], problem="a quote in the wrong place")


def _misfit(values: list[str], width: int) -> str | None:
    if values and len(values) != width:
        return f"{len(values)} values; the header has {width} columns"
    try:
        "".join(values).encode()
    except UnicodeEncodeError:
        return "bytes that are not UTF-8 text"
    return None
