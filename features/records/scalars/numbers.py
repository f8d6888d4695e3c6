"""The rules of fields that hold a number, or a whole one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from configs.schema import FieldConfig
from features.records.error_messages import bounds, describe
from features.records.fields import MARKERS, Column, note_of
from features.records.scalars.scalar_field import ScalarField
from features.records.spellings import parse_number, trim

FEW_VALUES = 16
"""So many are written one by one sooner than as an array."""
LARGEST_INTEGER = 2**53 - 1
_NUMBERS = frozenset({int, float})


class NumberField(ScalarField):
    """A finite number within bounds."""

    noun = "a number"

    def __init__(self, config: FieldConfig, markers: Sequence[str] = MARKERS) -> None:
        super().__init__(config, self.noun + bounds(config.minimum, config.maximum), markers)
        self.low = -math.inf if config.minimum is None else config.minimum
        self.high = math.inf if config.maximum is None else config.maximum
        self.kinds = _NUMBERS
        self.marked = frozenset(filter(None.__ne__, map(_number, self.markers)))
        """Numbers that mean "no value"."""

    def accepts(self, values: list[Any]) -> bool:
        if self.config.nullable:
            values = [value for value in values if value is not None]
        if not self.kinds.issuperset(map(type, values)):
            return False
        try:
            finite = math.isfinite(sum(values))
        except OverflowError:
            return False
        if self.marked and not self.marked.isdisjoint(values):
            return False
        return not values or (finite and self.low <= min(values) and max(values) <= self.high)

    def read_text(self, text: str) -> tuple[Any, str | None]:
        try:
            number = parse_number(text)
        except ValueError:
            if self.is_marker(text):
                return self.absent(text)
            raise self.refusal(describe(text)) from None
        return self._within(number, text), note_of(text, trim(text) if text.isascii() else "")

    def read_other(self, value: Any) -> tuple[Any, str | None]:
        number = plain_number(value)
        if number is None:
            raise self.refusal(describe(value))
        return self._within(number, value), None

    def fits(self, number: float) -> bool:
        """Whether a number is one of the field's."""
        try:
            return math.isfinite(float(number)) and self.low <= number <= self.high
        except OverflowError:
            return False

    def _within(self, number: float, arrived: Any) -> float | None:
        if number in self.marked:
            return self.absent(arrived)[0]
        if not self.fits(number):
            raise self.refusal(describe(number if _is_finite(number) else arrived))
        return number

    def check_column(self, column: Column) -> dict[int, str]:
        absent = np.isnan(column)
        wrong = np.isinf(column) | (column < self.low) | (column > self.high)
        return self.refuse(column, wrong, absent)

    def load(self, values: list[Any]) -> Column:
        return np.array(values, dtype=np.float64) + 0.0  # -0.0 becomes 0.0: one text for one value

    def dump(self, column: Column) -> list[Any]:
        return list(column.tolist())


def load_numbers(rows: Sequence[Sequence[Any]]) -> Column:
    """What `load` of number, integer and boolean fields makes of n rows of their values, (n, fields)."""
    return np.array(rows, dtype=np.float64) + 0.0


class IntegerField(NumberField):
    """A whole number within bounds, exact in a float64."""

    noun = "a whole number"

    def __init__(self, config: FieldConfig, markers: Sequence[str] = MARKERS) -> None:
        super().__init__(config, markers)
        self.low = max(self.low, -LARGEST_INTEGER)
        self.high = min(self.high, LARGEST_INTEGER)
        self.kinds = frozenset({int})

    def fits(self, number: float) -> bool:
        return super().fits(number) and float(number).is_integer()

    def check_column(self, column: Column) -> dict[int, str]:
        absent = np.isnan(column)
        wrong = (column < self.low) | (column > self.high) | (~absent & (np.floor(column) != column))
        return self.refuse(column, wrong, absent)

    def dump(self, column: Column) -> list[Any]:
        if len(column) > FEW_VALUES and not np.isnan(column).any():
            return list(column.astype(np.int64).tolist())
        return [None if math.isnan(value) else int(value) for value in column.tolist()]


def plain_number(value: Any) -> float | None:
    """A number of whatever type as Python's; None for what is no number, such as true and false."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Decimal):
        return int(value) if value.is_finite() and value == value.to_integral_value() else float(value)
    return value if type(value) in _NUMBERS else None


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:
        return True


def _number(text: str) -> float | None:
    try:
        return parse_number(text)
    except ValueError:
        return None
