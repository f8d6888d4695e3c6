"""CSV (RFC 4180) in blocks: quickly where a block is regular, carefully where it is not.

A block in which every line is one well-formed row goes through Arrow's parser. Any other block
(quoted line ends, wrong widths, stray quotes, undecodable bytes, blank lines) is read row by
row, so that each bad line is known by its number and the rows around it are kept. Both take time
that grows with the bytes alone.
"""

from __future__ import annotations

import codecs
import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from features.files.batches import BATCH_BYTES, BATCH_ROWS, BadLine, Batch
from features.files.layout import Layout
from features.files.quarantined import bounded_text
from features.files.readers.byte_streams import TextFile
from features.files.readers.delimited.header import Header, read_header
from features.files.readers.delimited.lines import (
    OPEN_QUOTE,
    STRAY_QUOTE,
    Line,
    split_leniently,
    split_line,
    split_record,
)
from features.files.readers.delimited.numbers import read_numbers
from features.files.readers.delimited.quotes import OPEN, WRONG, QuoteScanner
from features.files.readers.encodings import ANOTHER_ENCODING
from features.files.readers.limits import MB, QUOTED_BYTES, ROW_BYTES, WINDOW_BYTES

TOO_LONG = f"a line of more than {ROW_BYTES // MB} MB"
SHOWN_BYTES = 1000
ARROW_BYTES = MB
"""Of the blocks that Arrow parses side by side."""
MISFITS = 16
"""Records of another width that end in one place, before the lines up to it are refused one by one."""


def open_csv(
    text: TextFile, name: str, layout: Layout, usual: str = ",", block_bytes: int = BATCH_BYTES
) -> tuple[Header, Iterator[Batch]]:
    """Read the header; batches are read as they are asked for, from about `block_bytes` at a time.

    Raises:
        SourceError: there is no header, or it cannot be used.
    """
    csv.field_size_limit(ROW_BYTES)  # fields are bounded by the contract, not by the parser
    try:
        header = read_header(text, name, layout, usual)
    except BaseException:
        text.file.close()
        raise
    return header, _read_rows(text, header, layout, block_bytes)


def _read_rows(text: TextFile, header: Header, layout: Layout, size: int) -> Iterator[Batch]:
    line = header.line + 1
    with text.file as file:
        rest = b""
        while True:
            chunk = file.read(size)
            data = rest + chunk
            block = data if not chunk else data[: data.rfind(b"\n") + 1]
            too_long = len(data) - len(block) > ROW_BYTES
            reader = _Block(block, header, line, text.encoding, final=not chunk or too_long)
            for batch in reader.batches():
                yield _finished(batch, layout, text.position())
            rest, line = data[reader.consumed :], reader.line
            if not chunk:
                return
            if too_long:
                yield _too_long(rest, line, text.position())
                rest, line = _after_line(file, size), line + 1


def _finished(batch: Batch, layout: Layout, fraction: float) -> Batch:
    numbers = read_numbers(batch.table, layout)
    originals = batch.table if numbers.table is not batch.table else None
    return Batch(
        numbers.table, batch.lines, batch.bad, fraction, reasons=numbers.reasons, originals=originals
    )


def _too_long(data: bytes, line: int, fraction: float) -> Batch:
    shown = data[:SHOWN_BYTES].decode(errors="replace")
    return Batch(pa.table({}), np.array([], dtype=np.int64), (BadLine(line, TOO_LONG, shown),), fraction)


def _after_line(file: IO[bytes], size: int) -> bytes:
    """What follows the next line end of a chunk; lines before are skipped unread."""
    while chunk := file.read(size):
        end = chunk.find(b"\n")
        if end >= 0:
            return chunk[end + 1 :]
    return b""


class _Block:
    """One block; what it has not consumed must wait for the next one."""

    def __init__(self, data: bytes, header: Header, line: int, encoding: str, *, final: bool) -> None:
        self.data, self.header, self.line, self.final = data, header, line, final
        self.consumed = 0
        self.misfits: Counter[int] = Counter()
        self.scanner = QuoteScanner(data, header.separator)
        self.not_text = f"bytes that are not {encoding.upper()} text; {ANOTHER_ENCODING}"

    def batches(self) -> Iterator[Batch]:
        table = _regular(self.data, self.header)
        if table is None:
            yield from self._carefully()
            return
        for start in range(0, table.num_rows, BATCH_ROWS):
            part = table.slice(start, BATCH_ROWS)
            yield Batch(part, np.arange(self.line + start, self.line + start + part.num_rows))
        self.consumed, self.line = len(self.data), self.line + table.num_rows

    def _carefully(self) -> Iterator[Batch]:
        """Row by row; a record whose quotes are open at the end waits, unless it is the last block."""
        while self.consumed < len(self.data):
            rows = _Rows(self.header.columns)
            start = self.consumed
            while rows.count < BATCH_ROWS and self.consumed - start < WINDOW_BYTES:
                if self.consumed == len(self.data) or not self._take(rows):
                    break
            if not rows.count and self.consumed == start:
                return
            if rows.places or rows.bad:
                yield rows.batch()

    def _take(self, rows: _Rows) -> bool:
        """Read one record; whether it could be."""
        data, start = self.data, self.consumed
        end = data.find(b"\n", start) + 1 or len(data)
        record = data[start:end]
        if b'"' not in record:
            line = self._split_plain(record)
        else:
            close = self.scanner.end(start)
            if close == OPEN and not self.final and len(data) - start < QUOTED_BYTES:
                return False
            if close > end and close - start <= QUOTED_BYTES and self.misfits[close] < MISFITS:
                line, end = self._split_quoted(record, data[start:close], end, close)
            else:
                line = self._split_alone(record, close)
        rows.add(self.line, line, record)
        self.line += data.count(b"\n", start, end) if end - start > len(record) else 1
        self.consumed = end
        return True

    def _split_plain(self, record: bytes) -> Line:
        width = record.count(self.header.separator.encode()) + 1
        if width != len(self.header.columns) and record.strip(b"\r\n"):
            return Line([], misfit(width, len(self.header.columns)))
        text = self._text(record)
        return Line([], self.not_text) if text is None else split_line(text, self.header.separator)

    def _split_quoted(self, record: bytes, whole: bytes, end: int, close: int) -> tuple[Line, int]:
        """A record of several lines, or its first line alone where it is none."""
        text = self._text(whole)
        line = None if text is None else split_record(text, self.header.separator)
        if line is None or len(line.values) != len(self.header.columns):
            self.misfits[close] += 1
            return self._split_alone(record, close), end
        return line, close

    def _split_alone(self, record: bytes, close: int) -> Line:
        text = self._text(record)
        if text is None:
            return Line([], self.not_text)
        if close == OPEN:
            return Line([], OPEN_QUOTE)
        line = split_leniently(text, self.header.separator)
        if close == WRONG or line.problem is None:
            return line
        return Line([], STRAY_QUOTE)

    def _text(self, data: bytes) -> str | None:
        try:
            return data.decode()
        except UnicodeDecodeError:
            return None


class _Rows:
    """Rows of a batch as they are read, and the lines that are none."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = columns
        self.values: list[list[str]] = []
        self.places: list[int] = []
        self.bad: list[BadLine] = []
        self.count = 0

    def add(self, place: int, line: Line, record: bytes) -> None:
        """Take a record in; a blank line is counted only."""
        self.count += 1
        problem = line.problem
        if problem is None and line.values and len(line.values) != len(self.columns):
            problem = misfit(len(line.values), len(self.columns))
        if problem is not None:
            text = record.rstrip(b"\r\n").decode(errors="replace")
            self.bad.append(BadLine(place, problem, bounded_text(text)))
        elif line.values:
            self.values.append(line.values)
            self.places.append(place)

    def batch(self) -> Batch:
        """What was taken in."""
        arrays = {
            name: pa.array([row[index] for row in self.values], pa.string())
            for index, name in enumerate(self.columns)
        }
        return Batch(pa.table(arrays), np.array(self.places, dtype=np.int64), tuple(self.bad))


def _regular(block: bytes, header: Header) -> pa.Table | None:
    """The block as Arrow reads it, or None unless every line of it is one row."""
    lines = block.count(b"\n") + (not block.endswith(b"\n"))
    if not block or (b"\r" in block and block.count(b"\r") != block.count(b"\r\n")):
        return None
    if block.startswith(codecs.BOM_UTF8):  # Arrow would pass it by, and it is part of a value
        return None
    try:
        table = pacsv.read_csv(
            pa.BufferReader(pa.py_buffer(block)),
            read_options=pacsv.ReadOptions(column_names=list(header.columns), block_size=ARROW_BYTES),
            parse_options=pacsv.ParseOptions(delimiter=header.separator),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(header.columns, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid:
        return None
    if table.num_rows != lines or (b'"' in block and _has_quoted_line_end(block, table)):
        return None
    return table


def _has_quoted_line_end(block: bytes, table: pa.Table) -> bool:
    """Whether a line ends within quotes: Arrow takes the end of each of its own blocks for theirs.

    The halves of such a row, with as many values as there are columns, would be two rows.
    """
    chunks = (chunk for column in table.columns for chunk in column.chunks if len(chunk))
    # Of all its texts at once: a match of each would take half as long as the parser.
    return block.count(b'"') % 2 == 1 or any(b"\n" in chunk.buffers()[2].to_pybytes() for chunk in chunks)


def misfit(values: int, width: int) -> str:
    """The reason why a row of another width is refused."""
    return f"{values} values; the header has {width} columns"
