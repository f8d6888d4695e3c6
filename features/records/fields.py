"""What every field of a record answers, and the notes on how it read odd values.

Columns are numpy arrays, one entry a row: numbers, integers and booleans float64 (NaN is
missing), categories and text object (str or None), times datetime64[us] in UTC (NaT).
"""

from __future__ import annotations

from typing import Any, Protocol

from numpy.typing import NDArray

from configs.schema import FieldConfig, RecordConfig
from features.records.error_messages import describe
from features.records.spellings import trim

Column = NDArray[Any]
Parsed = tuple[Column, dict[int, str]]
"""A column, and what is wrong by row; rows with a problem hold a meaningless value."""

Notes = dict[int, str]
"""How odd values were read, by row: `TRIMMED`, `RESPELLED`, or `MISSING` and what stood for no value."""
TRIMMED, RESPELLED, MISSING = "trimmed", "respelled", "missing "
MARKERS = RecordConfig.model_fields["missing"].default
"""Texts that mean "no value" where the configuration does not say which."""


class Field(Protocol):
    """One field of a record."""

    config: FieldConfig
    allowed: str

    def check(self, values: list[Any], notes: Notes | None = None) -> Parsed:
        """Check values of whatever type, from whatever door; None is missing. Adds to `notes`."""

    def check_column(self, column: Column) -> dict[int, str]:
        """Check a column that already has the right type (it came from a typed file)."""

    def dump(self, column: Column) -> list[Any]:
        """Values for canonical JSON."""

    def load(self, values: list[Any]) -> Column:
        """Inverse of `dump`."""


def note_of(arrived: str, plain: str) -> str | None:
    """How a text was read: as it is (None), without the blanks around it, or by another spelling."""
    if arrived == plain:
        return None
    return TRIMMED if trim(arrived) == plain else RESPELLED


def describe_marker(value: Any) -> str:
    """The name of what stands for no value."""
    return trim(value) if isinstance(value, str) else describe(value)
