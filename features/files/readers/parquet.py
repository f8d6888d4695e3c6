"""Parquet, a batch at a time: the columns that are read, and others where they are small.

A few bytes of Parquet can stand for any number of rows or any length of text, so what a file says of itself
is held against the limits before a row of it is read, and texts that stand in a dictionary are counted before
they are written out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from configs.spelling.letters import compose
from features.errors import SourceError
from features.files.batches import BATCH_ROWS, MAX_DEPTH, TOO_DEEP, BadLine, Batch, Source, repeats
from features.files.layout import Layout
from features.files.quarantined import bounded, plain_rows
from features.files.readers.arrow_types import plain
from features.files.readers.limits import (
    COLUMNS,
    LIST_VALUES,
    MB,
    PARQUET_FOOTER,
    PARQUET_FREE,
    PARQUET_RATIO,
    PARQUET_ROWS_FREE,
    PARQUET_ROWS_RATIO,
    ROW_BYTES,
    SLICE_BYTES,
    WRITTEN_FREE,
    WRITTEN_RATIO,
)
from features.files.readers.parquet_footer import check_chunks

BUFFER_BYTES = MB
TAIL_BYTES = 8
"""The length of the footer, and the letters that end a file."""
OTHERS = 100
OTHER_BYTES = 4096
"""Columns that are not read, and their bytes a row, which are kept for quarantine."""
Sizes = np.ndarray[tuple[int], np.dtype[np.int64]]
TOO_LONG = f"a row of more than {ROW_BYTES // MB} MB"


@dataclass(frozen=True)
class _Chunk:
    """What a file says of one leaf column, over all its row groups."""

    top: str
    """The column that it is a part of."""
    packed: int
    unpacked: int
    values: int
    """The most in one row group."""
    listed: bool
    depth: int
    """How many lists, objects and optional values are within one another."""


def open_parquet(path: Path, name: str, layout: Layout) -> Source:
    """Open a file, and hold what it says of itself against the limits.

    Raises:
        SourceError: it is no Parquet, a column is there twice, or it is beyond a limit.
    """
    footer = _check_footer(path)
    try:
        check_chunks(path, footer)
        file = pq.ParquetFile(path, buffer_size=BUFFER_BYTES)
        names = tuple(file.schema_arrow.names)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # a name may be no text
        raise SourceError(f"{path}: not a Parquet file: {error}") from error
    try:
        wanted, notes = _wanted(file, path, names, layout)
        texts = _texts_in_dictionaries(file, wanted)
    finally:
        file.close()
    again = pq.ParquetFile(path, buffer_size=BUFFER_BYTES, read_dictionary=texts)
    columns = tuple(map(compose, names))
    return Source(name, columns, _batches(again, name, path.stat().st_size, wanted, layout), again, notes)


def _check_footer(path: Path) -> int:
    """How far from the end of the file its description of columns and row groups begins."""
    with path.open("rb") as file:
        file.seek(0, 2)
        if file.tell() < 12:
            raise SourceError(f"{path}: not a Parquet file: {file.tell()} bytes")
        file.seek(-TAIL_BYTES, 2)
        length, magic = struct.unpack("<I4s", file.read(8))
    if magic == b"PAR1" and length > PARQUET_FOOTER:
        raise SourceError(
            f"{path}: its description of columns and row groups has {length // MB} MB; "
            f"allowed: {PARQUET_FOOTER // MB} MB, so fewer and larger row groups"
        )
    return int(length) + TAIL_BYTES


def _wanted(
    file: pq.ParquetFile, path: Path, names: Sequence[str], layout: Layout
) -> tuple[list[str], tuple[str, ...]]:
    """Columns to be read, and what to tell of those that are not."""
    meta = file.metadata
    if meta.num_columns > COLUMNS:
        raise SourceError(f"{path}: {meta.num_columns} columns; allowed: {COLUMNS}")
    wanted = [column for column in names if layout.wants(compose(column))]
    if repeated := repeats(list(map(compose, wanted))):
        raise SourceError(f"{path}: column '{repeated}' stands there more than once")
    chunks, read = _chunks(meta, frozenset(names)), set(wanted)
    _check(path, [chunk for chunk in chunks if chunk.top in read], meta)
    others = [column for column in names if column not in read]
    if not repeats(names) and len(others) <= OTHERS and _small(chunks, set(others), meta.num_rows):
        return list(names), ()
    some = ", ".join(f"'{column}'" for column in others[:5])
    return wanted, (f"{len(others)} columns that are not used were not read: {some}",) if others else ()


def _small(chunks: Sequence[_Chunk], others: set[str], rows: int) -> bool:
    """Whether columns that are not read take little, so that quarantine can have them."""
    own = [chunk for chunk in chunks if chunk.top in others]
    size = sum(chunk.unpacked + 8 * chunk.values for chunk in own)
    return (
        not any(chunk.listed or chunk.depth > MAX_DEPTH for chunk in own)
        and size <= OTHER_BYTES * max(1, rows)
        and _fits(own)
    )


def _top(path: str, names: frozenset[str]) -> str:
    """The column that a leaf belongs to; names may hold points themselves."""
    top = path
    while top not in names and "." in top:
        top = top.rpartition(".")[0]
    return top


def _chunks(meta: pq.FileMetaData, names: frozenset[str]) -> list[_Chunk]:
    sums = [[0, 0, 0] for _ in range(meta.num_columns)]
    for index in range(meta.num_row_groups):
        group = meta.row_group(index)
        for place, total in enumerate(sums):
            column = group.column(place)
            total[0] += column.total_compressed_size
            total[1] += column.total_uncompressed_size
            total[2] = max(total[2], column.num_values)
    leaves = [meta.schema.column(place) for place in range(meta.num_columns)]
    return [
        _Chunk(
            _top(leaf.path, names),
            packed,
            unpacked,
            values,
            leaf.max_repetition_level > 0,
            leaf.max_definition_level,
        )
        for leaf, (packed, unpacked, values) in zip(leaves, sums, strict=True)
    ]


def _check(path: Path, chunks: Sequence[_Chunk], meta: pq.FileMetaData) -> None:
    most = max(PARQUET_ROWS_FREE, PARQUET_ROWS_RATIO * path.stat().st_size)
    if meta.num_rows > most:
        raise SourceError(f"{path}: {meta.num_rows} rows in {path.stat().st_size} bytes; allowed: {most}")
    for chunk in chunks:
        if chunk.depth > MAX_DEPTH:
            raise SourceError(f"{path}: column '{chunk.top}': {chunk.depth} {TOO_DEEP}")
        if chunk.listed and chunk.values > LIST_VALUES:
            raise SourceError(
                f"{path}: column '{chunk.top}' has {chunk.values} values of lists in one row group; "
                f"allowed: {LIST_VALUES}, so smaller row groups"
            )
        if not _fits([chunk]):
            raise SourceError(
                f"{path}: column '{chunk.top}' unpacks to {chunk.unpacked // MB} MB, more than "
                f"{PARQUET_RATIO} times its size; allowed: less, or the rows as CSV"
            )


def _fits(chunks: Sequence[_Chunk]) -> bool:
    return all(chunk.unpacked <= max(PARQUET_FREE, PARQUET_RATIO * chunk.packed) for chunk in chunks)


def _texts_in_dictionaries(file: pq.ParquetFile, wanted: Sequence[str]) -> list[str]:
    """Columns of text that have a dictionary somewhere: one long text in it may stand in every row."""
    meta = file.metadata
    places = {
        place
        for place in range(meta.num_columns)
        if meta.schema.column(place).physical_type == "BYTE_ARRAY"
        and any(
            meta.row_group(index).column(place).has_dictionary_page for index in range(meta.num_row_groups)
        )
    }
    paths = {meta.schema.column(place).path for place in places}
    return [name for name in wanted if name in paths]


def _batches(
    file: pq.ParquetFile, name: str, size: int, wanted: Sequence[str], layout: Layout
) -> Iterator[Batch]:
    meta = file.metadata
    done, left = 0, max(WRITTEN_FREE, WRITTEN_RATIO * size)
    with file:
        for part in file.iter_batches(batch_size=_rows_at_once(meta), columns=list(wanted)):
            texts = _text_bytes(part)
            left -= 0 if texts is None else int(texts.sum())
            if left < 0:
                raise SourceError(
                    f"{name}: texts of its dictionaries, written out, take more than {WRITTEN_FREE // MB} MB "
                    f"and {WRITTEN_RATIO} times the file, by row {done + part.num_rows}; allowed: less"
                )
            for batch in _slices(part, texts):
                lines = np.arange(done + 1, done + batch.num_rows + 1)
                done += batch.num_rows
                yield _checked(batch, lines, done / max(1, meta.num_rows), layout)


def _rows_at_once(meta: pq.FileMetaData) -> int:
    """So many that a batch has about `SLICE_BYTES`, as the file says."""
    size = max(1, meta.num_rows)
    groups = [meta.row_group(index) for index in range(meta.num_row_groups)]
    values = sum(group.column(place).num_values for group in groups for place in range(group.num_columns))
    total = max(sum(group.total_byte_size for group in groups), 4 * values)
    return int(max(1, min(BATCH_ROWS, SLICE_BYTES * size // max(1, total))))


def _slices(part: pa.RecordBatch, sizes: Sizes | None) -> Iterator[pa.RecordBatch]:
    """The rows in slices of about `SLICE_BYTES` once their texts are written out, at least one row each."""
    if sizes is None or sizes.sum() <= SLICE_BYTES:
        yield part
        return
    ends = np.cumsum(sizes)
    start = 0
    while start < part.num_rows:
        before = ends[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + SLICE_BYTES, side="right")))
        yield part.slice(start, end - start)
        start = end


def _text_bytes(part: pa.RecordBatch) -> Sizes | None:
    """Bytes of the texts that stand in dictionaries, by row."""
    sizes = None
    for column in part.columns:
        if pa.types.is_dictionary(column.type) and column.type.value_type in (pa.string(), pa.binary()):
            lengths = pc.fill_null(pc.binary_length(column.dictionary), 0).to_numpy(zero_copy_only=False)
            if not len(lengths):
                continue
            own = lengths[pc.fill_null(column.indices, 0).to_numpy(zero_copy_only=False)].astype(np.int64)
            sizes = own if sizes is None else sizes + own
    return sizes


def _checked(part: pa.RecordBatch, lines: Sizes, fraction: float, layout: Layout) -> Batch:
    """The rows with plain columns, without those that hold text which is none, or too much of it."""
    bad: dict[int, str] = {}
    for name, column in zip(part.schema.names, part.columns, strict=True):
        if layout.wants(compose(name)):
            bad.update(dict.fromkeys(_not_text(column), f"column '{name}': bytes that are not UTF-8 text"))
    sizes = _text_bytes(part)
    if sizes is not None:
        bad.update(dict.fromkeys(np.flatnonzero(sizes > ROW_BYTES).tolist(), TOO_LONG))
    long = {row for column in part.columns for row in _long_lists(column)}
    table = pa.Table.from_batches([part])
    refused = tuple(_bad_line(table, row, int(lines[row]), reason) for row, reason in sorted(bad.items()))
    refused += tuple(BadLine(int(lines[row]), TOO_LONG, "") for row in sorted(long - set(bad)))
    bad.update(dict.fromkeys(long, TOO_LONG))
    if bad:
        keep = np.setdiff1d(np.arange(len(lines)), np.array(list(bad)))
        table, lines = table.take(pa.array(keep)), lines[keep]
    if layout.whole:
        return Batch(table.rename_columns(list(map(compose, table.column_names))), lines, refused, fraction)
    columns = {
        compose(name): plain(_one(table.column(place)))
        for place, name in enumerate(table.column_names)
        if layout.wants(compose(name))
    }
    return Batch(pa.table(columns), lines, refused, fraction, originals=table)


def _long_lists(column: pa.Array) -> list[int]:
    """Rows whose list is beyond what a row may have; Python objects of it would take ten times as much."""
    if not pa.types.is_nested(column.type) or column.nbytes <= ROW_BYTES:
        return []
    return [row for row in range(len(column)) if column.slice(row, 1).nbytes > ROW_BYTES]


def _one(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    return pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array


def _bad_line(table: pa.Table, row: int, line: int, reason: str) -> BadLine:
    return BadLine(line, reason, str(bounded(plain_rows(table, [row])[0])))


def _not_text(column: pa.Array) -> list[int]:
    """Rows whose text is not UTF-8; of types that hold none, nothing is looked at."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return [row for row in range(len(column)) if not _is_valid(column.slice(row, 1))]
    return []


def _is_valid(one: pa.Array) -> bool:
    try:
        (one.dictionary_decode() if pa.types.is_dictionary(one.type) else one).validate(full=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return False
    return True
