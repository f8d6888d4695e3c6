"""Files as batches of rows, by the kind that their name tells: CSV, JSON lines, JSON, Parquet.

Reading is streaming: no more than one batch of a file is in memory. Lines that are no rows at
all come beside the batch, with the reason; nothing is dropped.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow as pa

from features.errors import SourceError
from features.files.batches import Batch, Source
from features.files.layout import Layout
from features.files.linked_pictures import LinkedPictures
from features.files.readers.byte_streams import TextFile, check_regular, open_text, printable_name
from features.files.readers.delimited.blocks import open_csv
from features.files.readers.json_documents import document_rows, holds_document, holds_parts
from features.files.readers.json_rows import PART, json_batches, json_lines
from features.files.readers.limits import LEVELS_BYTES
from features.files.readers.line_ends import NO_LINE_END, lacks_line_end
from features.files.readers.parquet import open_parquet

EVERYTHING = Layout(whole=True)
"""Files of which nothing is declared, and every column is wanted."""


def open_source(path: Path, layout: Layout = EVERYTHING) -> Source:
    """Open a file by its extension.

    Raises:
        SourceError: it cannot be read, has another extension, no header, or a damaged one.
    """
    opener = _opener(path)
    try:
        check_regular(path)
        source = _guarded(opener(path, printable_name(path), layout))
        return _with_pictures(source, path, layout) if layout.images else source
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error


def _opener(path: Path) -> Callable[[Path, str, Layout], Source]:
    for extension, opener in _OPENERS.items():
        if path.name.lower().endswith(extension):
            return opener
    raise SourceError(f"{path}: unknown kind of file; allowed: {', '.join(_OPENERS)}")


def _with_pictures(source: Source, path: Path, layout: Layout) -> Source:
    """The same with the pictures that its rows name, in batches whose images fit in memory."""
    files = layout.files
    linked = LinkedPictures(path, files.picture_folders, files.picture_hosts)
    rows = max(1, LEVELS_BYTES // max(1, layout.levels))

    def batches() -> Iterator[Batch]:
        with closing(linked):
            for batch in source.batches:
                for part in batch.parts(rows):
                    yield replace(part, fetch=linked)

    return replace(source, batches=batches())


def _guarded(source: Source) -> Source:
    """Turn failures in the middle of a file into errors that name it, and the rows that were read before."""

    def batches() -> Iterator[Batch]:
        last = 0
        try:
            for batch in source.batches:
                last = max([last, *batch.lines[-1:].tolist(), *(line.line for line in batch.bad[-1:])])
                yield batch
        except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
            raise SourceError(f"{source.name}: damaged after line {last}: {error}") from error

    return replace(source, batches=batches())


def _open_csv(path: Path, name: str, layout: Layout, usual: str = ",") -> Source:
    text = open_text(path, layout.files.encoding)
    header, batches = open_csv(text, name, layout, usual)
    notes = text.notes + header.notes + _end_note(path)
    return Source(name, header.columns, batches, text.file, notes, header.separator)


def _open_json_lines(path: Path, name: str, layout: Layout) -> Source:
    text = open_text(path, layout.files.encoding)
    source = _json_source(json_batches(json_lines(text), text.position, layout), text, name)
    return replace(source, notes=source.notes + _end_note(path))


def _end_note(path: Path) -> tuple[str, ...]:
    return (NO_LINE_END,) if lacks_line_end(path) else ()


def _open_json(path: Path, name: str, layout: Layout) -> Source:
    with open_text(path, layout.files.encoding).file as file:
        document = holds_document(file)
    if not document:
        return _open_json_lines(path, name, layout)
    with open_text(path, layout.files.encoding).file as file:
        added = (PART,) if holds_parts(file) else ()
    text = open_text(path, layout.files.encoding)
    source = _json_source(json_batches(document_rows(text, name), text.position, layout), text, name)
    return replace(source, added=added)


def _json_source(batches: Iterator[Batch], text: TextFile, name: str) -> Source:
    return Source(name, None, batches, text.file, text.notes)


_OPENERS: dict[str, Callable[[Path, str, Layout], Source]] = {
    ".csv": _open_csv,
    ".csv.gz": _open_csv,
    ".json": _open_json,
    ".json.gz": _open_json,
    ".jsonl": _open_json_lines,
    ".jsonl.gz": _open_json_lines,
    ".ndjson": _open_json_lines,
    ".ndjson.gz": _open_json_lines,
    ".parquet": open_parquet,
    ".tsv": partial(_open_csv, usual="\t"),
    ".tsv.gz": partial(_open_csv, usual="\t"),
}
EXTENSIONS = tuple(_OPENERS)
"""Of names of files that can be read, in any case."""
