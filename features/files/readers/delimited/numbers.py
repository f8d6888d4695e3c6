"""Numbers in CSV that are written with a decimal comma, or with groups of digits."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.schema import FilesConfig
from features.files.layout import Layout
from features.files.readers.delimited.number_forms import OTHER_BLANKS, forms_to_declare, is_plain

_PLAIN = r"^\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s*$"


@dataclass(frozen=True)
class Numbers:
    """A table whose numbers are written with a point and nothing else, and rows where that cannot be."""

    table: pa.Table
    reasons: dict[int, str]


def read_numbers(table: pa.Table, layout: Layout) -> Numbers:
    """Numbers as declared; where nothing is, one with a comma is refused with what to declare."""
    reasons: dict[int, str] = {}
    for name in table.column_names:
        if name in layout.numbers:
            column, wrong = _read(table[name], name, layout.files)
            reasons.update({row: _joined(reasons.get(row), reason) for row, reason in wrong.items()})
            if column is not None:
                table = table.set_column(table.column_names.index(name), name, column)
    return Numbers(table, reasons)


def _joined(before: str | None, reason: str) -> str:
    return reason if before is None else f"{before}; {reason}"


def _read(
    column: pa.ChunkedArray, name: str, files: FilesConfig
) -> tuple[pa.ChunkedArray | None, dict[int, str]]:
    if files.decimal == "." and files.thousands is None:
        if is_plain(column):
            return None, {}
        return None, _undeclared(_with_one_blank(column), name, files)
    if files.thousands == " ":
        column = _with_one_blank(column)
    fits = pc.match_substring_regex(column, _pattern(files))
    plain = pc.replace_substring(column, files.thousands, "") if files.thousands else column
    plain = pc.replace_substring(plain, files.decimal, ".")
    # What would be a number with a point, but is none as declared, may mean another: 1.500 is 1500 or 1.5.
    ambiguous = pc.and_(pc.invert(fits), pc.match_substring_regex(column, _PLAIN))
    reason = f"column '{name}': no number as `files` declares it ({_declared(files)})"
    wrong = _undeclared(pc.if_else(fits, None, column), name, files) | dict.fromkeys(_rows(ambiguous), reason)
    return pc.if_else(fits, plain, column), wrong


def _with_one_blank(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A plain blank for each that breaks no line or is thin: both stand between groups of digits."""
    return pc.replace_substring_regex(column, OTHER_BLANKS, " ")


def _undeclared(column: pa.ChunkedArray, name: str, files: FilesConfig) -> dict[int, str]:
    """By row, what to declare so that the number is read; the first form that it has."""
    reasons: dict[int, str] = {}
    for mask, advice in forms_to_declare(column, files):
        for row in _rows(mask):
            reasons.setdefault(row, f"column '{name}': {advice}")
    return reasons


def _pattern(files: FilesConfig) -> str:
    decimal = re.escape(files.decimal)
    whole = r"\d+"
    if files.thousands:
        # No group begins with 0: `0,123` is no number of thousands.
        whole = rf"(\d+|[1-9]\d{{0,2}}({re.escape(files.thousands)}\d{{3}})+)"
    return rf"^\s*[+-]?({whole}({decimal}\d*)?|{decimal}\d+)([eE][+-]?\d+)?\s*$"


def _declared(files: FilesConfig) -> str:
    thousands = "none" if files.thousands is None else f"'{files.thousands}'"
    return f"decimal '{files.decimal}', thousands {thousands}"


def _rows(mask: pa.ChunkedArray) -> list[int]:
    return list(np.flatnonzero(pc.fill_null(mask, False).to_numpy()).tolist())
