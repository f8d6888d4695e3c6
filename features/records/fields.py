"""The rules of one field: which values are allowed, and how they become a column.

Columns are numpy arrays, one entry a row: numbers, integers and booleans float64 (NaN is
missing), categories and text object (str or None), times datetime64[us] in UTC (NaT).
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from configs.schema import FieldConfig
from features.records.error_messages import bounds, describe, invalid_message, missing_message

__all__ = [
    "LARGEST_INTEGER",
    "BooleanField",
    "Column",
    "DatetimeField",
    "Field",
    "IntegerField",
    "NumberField",
    "Parsed",
    "ScalarField",
    "describe",
    "parse_time",
]

Column = NDArray[Any]
Parsed = tuple[Column, dict[int, str]]
"""A column, and what is wrong by row; rows with a problem hold a meaningless value."""

LARGEST_INTEGER = 2**53 - 1
_NUMBERS = frozenset({int, float})


class Field(Protocol):
    """One field of a record."""

    config: FieldConfig
    allowed: str

    def check(self, values: list[Any]) -> Parsed:
        """Check values as JSON gives them; None is missing."""

    def check_column(self, column: Column) -> dict[int, str]:
        """Check a column that already has the right type (it came from a typed file)."""

    def dump(self, column: Column) -> list[Any]:
        """Values for canonical JSON."""

    def load(self, values: list[Any]) -> Column:
        """Inverse of `dump`."""


class ScalarField:
    """Base of fields whose value is one number, time or text, not an array.

    `check` first tests all values at once (`accepts`), and looks for reasons one by one (`problem`) only
    where that fails.
    """

    def __init__(self, config: FieldConfig, allowed: str) -> None:
        self.config = config
        self.name = config.name
        self.allowed = f"{allowed}, or null" if config.nullable else allowed

    def check(self, values: list[Any]) -> Parsed:
        if self.accepts(values):
            return self.load(values), {}
        bad: dict[int, str] = {}
        valid: list[Any] = []
        for row, value in enumerate(values):
            problem = self.problem(value)
            if problem is not None:
                bad[row] = problem
            valid.append(value if problem is None else None)
        return self.load(valid), bad

    def accepts(self, values: list[Any]) -> bool:
        raise NotImplementedError

    def fits(self, value: Any) -> bool:
        raise NotImplementedError

    def load(self, values: list[Any]) -> Column:
        raise NotImplementedError

    def problem(self, value: Any) -> str | None:
        """The reason why `value` is refused, or None."""
        if value is None:
            return None if self.config.nullable else missing_message(self.name, self.allowed)
        return None if self.fits(value) else invalid_message(self.name, describe(value), self.allowed)

    def refuse(self, column: Column, wrong: NDArray[np.bool_], absent: NDArray[np.bool_]) -> dict[int, str]:
        """Reasons for the rows marked `wrong`, and for those `absent` where that is not allowed."""
        bad = {
            int(row): invalid_message(self.name, describe(column[row]), self.allowed)
            for row in np.flatnonzero(wrong)
        }
        if not self.config.nullable:
            bad.update({int(row): missing_message(self.name, self.allowed) for row in np.flatnonzero(absent)})
        return bad


class NumberField(ScalarField):
    """A finite number within bounds."""

    noun = "a number"

    def __init__(self, config: FieldConfig) -> None:
        super().__init__(config, self.noun + bounds(config.minimum, config.maximum))
        self.low = -math.inf if config.minimum is None else config.minimum
        self.high = math.inf if config.maximum is None else config.maximum
        self.kinds = _NUMBERS

    def accepts(self, values: list[Any]) -> bool:
        if self.config.nullable:
            values = [value for value in values if value is not None]
        if not self.kinds.issuperset(map(type, values)):
            return False
        try:
            finite = math.isfinite(sum(values))
        except OverflowError:
            return False
        return not values or (finite and self.low <= min(values) and max(values) <= self.high)

    def fits(self, value: Any) -> bool:
        if type(value) not in _NUMBERS:
            return False
        try:
            return math.isfinite(float(value)) and self.low <= value <= self.high
        except OverflowError:
            return False

    def check_column(self, column: Column) -> dict[int, str]:
        absent = np.isnan(column)
        wrong = np.isinf(column) | (column < self.low) | (column > self.high)
        return self.refuse(column, wrong, absent)

    def load(self, values: list[Any]) -> Column:
        return np.array(values, dtype=np.float64) + 0.0  # -0.0 becomes 0.0: one text for one value

    def dump(self, column: Column) -> list[Any]:
        return list(column.tolist())


class IntegerField(NumberField):
    """A whole number within bounds, exact in a float64."""

    noun = "a whole number"

    def __init__(self, config: FieldConfig) -> None:
        super().__init__(config)
        self.low = max(self.low, -LARGEST_INTEGER)
        self.high = min(self.high, LARGEST_INTEGER)
        self.kinds = frozenset({int})

    def fits(self, value: Any) -> bool:
        return super().fits(value) and float(value).is_integer()

    def check_column(self, column: Column) -> dict[int, str]:
        absent = np.isnan(column)
        wrong = (column < self.low) | (column > self.high) | (~absent & (np.floor(column) != column))
        return self.refuse(column, wrong, absent)

    def dump(self, column: Column) -> list[Any]:
        absent = np.isnan(column)
        if not absent.any():
            return list(column.astype(np.int64).tolist())
        return [None if math.isnan(value) else int(value) for value in column.tolist()]


class BooleanField(ScalarField):
    """True or false."""

    def __init__(self, config: FieldConfig) -> None:
        super().__init__(config, "true or false")
        self.kinds = frozenset({bool, type(None)} if config.nullable else {bool})

    def accepts(self, values: list[Any]) -> bool:
        return self.kinds.issuperset(map(type, values))

    def fits(self, value: Any) -> bool:
        return isinstance(value, bool)

    def check_column(self, column: Column) -> dict[int, str]:
        absent = np.isnan(column)
        return self.refuse(column, ~absent & (column != 0) & (column != 1), absent)

    def load(self, values: list[Any]) -> Column:
        return np.array(values, dtype=np.float64)

    def dump(self, column: Column) -> list[Any]:
        return [None if math.isnan(value) else value == 1.0 for value in column.tolist()]


class DatetimeField(ScalarField):
    """A point in time; without an offset it is UTC."""

    def __init__(self, config: FieldConfig) -> None:
        super().__init__(config, "a time in ISO 8601, such as 2024-05-01T12:30:00Z")

    def accepts(self, values: list[Any]) -> bool:
        return all(map(self.fits, values))

    def fits(self, value: Any) -> bool:
        if not isinstance(value, str):
            return False
        try:
            parse_time(value)
        except (ValueError, OverflowError):
            return False
        return True

    def check_column(self, column: Column) -> dict[int, str]:
        absent = np.isnat(column)
        low, high = np.datetime64("0001-01-01", "us"), np.datetime64("9999-12-31T23:59:59.999999", "us")
        return self.refuse(column, ~absent & ((column < low) | (column > high)), absent)

    def load(self, values: list[Any]) -> Column:
        return np.array(
            [None if value is None else parse_time(value) for value in values], dtype="datetime64[us]"
        )

    def dump(self, column: Column) -> list[Any]:
        texts = np.char.add(np.datetime_as_string(column, unit="us"), "Z").tolist()
        if np.isnat(column).any():
            return [None if text == "NaTZ" else text for text in texts]
        return list(texts)


def parse_time(text: str) -> datetime:
    """Read ISO 8601 as a naive time in UTC.

    Raises:
        ValueError: it is none.
        OverflowError: in UTC it falls outside the years 1 to 9999.
    """
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
