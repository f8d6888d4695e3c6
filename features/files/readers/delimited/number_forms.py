"""Numbers as people write them, and what a use case declares so that they are read."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.schema import FilesConfig

OTHER_BLANKS = "[\u00a0\u2007\u2009\u202f]"
"""No-break, of a figure's width, thin, and narrow no-break."""
_OTHER_BLANKS = re.compile(OTHER_BLANKS)


@dataclass(frozen=True)
class Form:
    """One way to write numbers, told by its pattern."""

    what: str
    decimal: str
    thousands: str | None
    pattern: str

    @property
    def advice(self) -> str:
        """What to declare, for people."""
        keys = [f'decimal: "{self.decimal}"'] if self.decimal != "." else []
        keys += [f'thousands: "{self.thousands}"'] if self.thousands else []
        return f"{self.what}; `files: {{{', '.join(keys)}}}` in the use case reads it"


def one_blank(text: str) -> str:
    """The text with a plain blank for each that breaks no line or is thin, as stand between groups."""
    return _OTHER_BLANKS.sub(" ", text)


def _grouped(decimal: str, thousands: str) -> Form:
    """Groups of three digits; where a group might be a fraction, only with a fraction or a second group."""
    group, point = rf"{re.escape(thousands)}\d{{3}}", re.escape(decimal)
    clear = rf"({group})+{point}\d+|({group}){{2,}}" if thousands in ".," else rf"({group})+({point}\d+)?"
    names = {".": "points", ",": "commas", "'": "apostrophes", " ": "blanks"}
    comma = " and a decimal comma" if decimal == "," else ""
    what = f"groups of digits with {names[thousands]} between them{comma}"
    return Form(what, decimal, thousands, rf"^\s*[+-]?\d{{1,3}}({clear})\s*$")


FORMS = (
    Form("a decimal comma", ",", None, r"^\s*[+-]?\d*,\d+\s*$"),
    *(_grouped(".", thousands) for thousands in ",' "),
    *(_grouped(",", thousands) for thousands in ".' "),
)
"""The first that a number has is told. With a point or a comma alone, `1 234` is read by either decimal."""
_MARKS = (",", "'", " ")
_POINTS = r"\.\d*\."


def is_plain(column: pa.ChunkedArray) -> bool:
    """Whether no cell has what tells any of these forms, by the bytes of all together: most have none."""
    return not any(map(_has_marks, column.chunks))


def _has_marks(cells: pa.Array) -> bool:
    if cells.type != pa.string() or cells.null_count:
        return True
    _, places, texts = cells.buffers()
    ends = np.frombuffer(places, np.int32)[cells.offset : cells.offset + len(cells) + 1]
    data = b"" if texts is None else texts.slice(ends[0], ends[-1] - ends[0]).to_pybytes()
    if not data.isascii() or any(mark.encode() in data for mark in _MARKS):  # other blanks are no ASCII
        return True
    return b"." in data and _any(pc.greater(pc.count_substring(cells, "."), 1))


def forms_to_declare(column: pa.ChunkedArray, files: FilesConfig) -> list[tuple[pa.ChunkedArray, str]]:
    """For each form that cells have and the declaration does not read: which cells, and what to declare.

    A declared decimal is taken at its word; only the groups are told then.
    """
    marked = any(_any(pc.match_substring(column, mark)) for mark in _MARKS)
    if not marked and not _any(pc.match_substring_regex(column, _POINTS)):
        return []
    is_declared = files.decimal != "." or files.thousands is not None
    forms = [form for form in FORMS if not is_declared or (form.decimal == files.decimal and form.thousands)]
    masks = [(pc.match_substring_regex(column, form.pattern), form.advice) for form in forms]
    return [(mask, advice) for mask, advice in masks if _any(mask)]


def _any(mask: pa.ChunkedArray | pa.Array) -> bool:
    return bool(pc.any(mask).as_py())
