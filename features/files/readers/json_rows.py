"""Rows of JSON as batches, whether each stands on a line or all in one document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from features.files.batches import BATCH_BYTES, BATCH_ROWS, BadLine, Batch, objects_table
from features.files.layout import Layout
from features.files.quarantined import bounded_text
from features.files.readers.byte_streams import TextFile
from features.files.readers.json_values import Refused, parse_json, read_row
from features.files.readers.limits import BATCH_CELLS, COLUMNS, MB, ROW_BYTES

TOO_MANY = f"more than {COLUMNS} names in a row; allowed: {COLUMNS}"


@dataclass(frozen=True)
class Text:
    """The text of a row, or of what should be one; `problem` says that it is none, whatever it holds."""

    place: int
    text: bytes
    problem: str | None = None
    part: str | None = None


class JsonRows:
    """Rows of the next batch."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.names: dict[str, None] = {}
        self.rows: list[dict[str, Any]] = []
        self.originals: list[dict[str, Any]] = []
        self.places: list[int] = []
        self.bad: list[BadLine] = []
        self.bytes = 0

    def add(self, text: Text, row: dict[str, Any] | None, reason: str | None) -> None:
        """Take a row in, or the reason why it is none."""
        self.bytes += len(text.text)
        if row is not None and reason is None:
            try:
                self._add_row(text.place, row)
            except Refused as error:
                reason = str(error)
        if reason is not None:
            shown = text.text.rstrip(b"\r\n").decode(errors="replace")
            self.bad.append(BadLine(text.place, reason, bounded_text(shown)))

    def _add_row(self, place: int, row: dict[str, Any]) -> None:
        wanted = read_row(row, self.layout)
        if len(wanted) > COLUMNS:
            raise Refused(TOO_MANY)
        self.names.update(dict.fromkeys(wanted))
        self.rows.append(wanted)
        self.originals.append(row)
        self.places.append(place)

    @property
    def full(self) -> bool:
        """Whether no more should be taken in."""
        count = len(self.rows) + len(self.bad)
        cells = (len(self.rows) + 1) * len(self.names)
        return count >= BATCH_ROWS or self.bytes >= BATCH_BYTES or cells >= BATCH_CELLS

    def batch(self, fraction: float) -> Batch:
        """What was taken in."""
        table, mixed = objects_table(self.rows)
        if not table.num_columns:  # nothing but empty objects: rows they are
            table = pa.table({"": pa.nulls(len(self.rows))})
        lines = np.array(self.places, dtype=np.int64)
        return Batch(table, lines, tuple(self.bad), fraction, originals=self.originals, mixed=mixed)


def json_batches(texts: Iterable[Text], position: Callable[[], float], layout: Layout) -> Iterator[Batch]:
    """Batches of rows; `position` tells the share of the file that is read."""
    rows = JsonRows(layout)
    for text in texts:
        row, reason = _parse(text)
        rows.add(text, row, reason)
        if rows.full:
            yield rows.batch(position())
            rows = JsonRows(layout)
    if rows.places or rows.bad:
        yield rows.batch(position())


def _parse(text: Text) -> tuple[dict[str, Any] | None, str | None]:
    if text.problem is not None:
        return None, text.problem
    try:
        value = parse_json(text.text)
    except Refused as error:
        return None, str(error)
    if text.part is None:
        return (value, None) if isinstance(value, dict) else (None, "not a JSON object")
    return _of_document(value, text.part)


PAIR = ("text", "label")
"""Names of what stands in a pair."""
PART = "part"


def _of_document(value: Any, part: str) -> tuple[dict[str, Any] | None, str | None]:
    if isinstance(value, list) and len(value) == len(PAIR):
        value = dict(zip(PAIR, value, strict=True))
    if not isinstance(value, dict):
        return None, f"got {value!r:.60}; allowed: an object, or a pair of text and label"
    return ({**value, PART: part} if part else value), None


TOO_LONG = f"a line of more than {ROW_BYTES // MB} MB"
SHOWN_BYTES = 1000


def json_lines(text: TextFile) -> Iterator[Text]:
    """Lines that are not blank, numbered from 1; what is too long is skipped, but for its beginning."""
    number = 0
    with text.file as file:
        while line := file.readline(ROW_BYTES):
            number += 1
            if len(line) == ROW_BYTES and not line.endswith(b"\n"):
                while (more := file.readline(ROW_BYTES)) and not more.endswith(b"\n"):
                    pass
                yield Text(number, line[:SHOWN_BYTES], TOO_LONG)
            elif line.strip():
                yield Text(number, line)
