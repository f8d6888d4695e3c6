"""CSV that people open in a spreadsheet: a text that it would take for a formula begins with an apostrophe.

A spreadsheet computes `=HYPERLINK(...)` and its like when a file is opened, and what it computes may send the
other cells elsewhere. Which texts, and that an apostrophe keeps them from it, is OWASP's advice ("CSV
Injection"). Numbers stay as they are. The rule can be turned round: take one apostrophe off each text that
has one or more before what a spreadsheet would take for a formula.
"""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_BLANKS = " \\t\\r\\n\\x0b\\x0c\u00a0\u1680\u2000-\u200d\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
_FORMULA = re.compile(f"'*(?:[\\t\\r\\n]|[{_BLANKS}]*[=+\\-@\uff1d\uff0b\uff0d\uff20])")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def harmless(text: str) -> str:
    """The text, with an apostrophe before what a spreadsheet would take for a formula.

    >>> [harmless(text) for text in ("=1+1", "-1.5", "a=b", "'=1+1")]
    ["'=1+1", '-1.5', 'a=b', "''=1+1"]
    """
    if _FORMULA.match(text) is None or _NUMBER.fullmatch(text) is not None:
        return text
    return f"'{text}"


class HarmlessTables:
    """Makes tables harmless one after the other, and counts the cells that were not."""

    def __init__(self) -> None:
        self.cells = 0

    def schema(self, schema: pa.Schema) -> pa.Schema:
        """How the tables look: texts as plain texts, under names that are harmless."""
        return pa.schema([(harmless(field.name), _plain(field.type)) for field in schema])

    def table(self, table: pa.Table) -> pa.Table:
        """The same rows."""
        schema = self.schema(table.schema)
        columns = [
            self._column(column.cast(kind)) if _is_text(kind) else column
            for column, kind in zip(table.columns, schema.types, strict=True)
        ]
        return pa.table(columns, names=schema.names)

    def _column(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        suspicious = pc.match_substring_regex(column, f"^(?:{_FORMULA.pattern})")
        if not pc.any(suspicious).as_py():
            return column
        values: list[Any] = column.to_pylist()
        for row in pc.indices_nonzero(suspicious).to_pylist():
            made = harmless(values[row])
            self.cells += made != values[row]
            values[row] = made
        return pa.chunked_array([pa.array(values, column.type)])


def _plain(kind: pa.DataType) -> pa.DataType:
    """Texts may be kept by dictionary."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
