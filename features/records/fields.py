"""The rules of one field: which values are allowed, and how they become a column.

Columns are numpy arrays, one entry a row: numbers, integers and booleans float64 (NaN is
missing), categories and text object (str or None), times datetime64[us] in UTC (NaT).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from configs.schema import FieldConfig, RecordConfig
from features.records.error_messages import bounds, describe, invalid_message, missing_message
from features.records.spellings import NEVER_VALUES, is_no_value, parse_number, parse_truth, trim
from features.records.times import (
    DIGITS_HINT,
    EPOCH_UNITS,
    Sentinel,
    as_utc,
    is_digits,
    is_regular_time,
    load_time,
    order_hint,
    parse_time,
    read_epoch,
    sentinel_mask,
)

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


class ScalarField:
    """Base of fields whose value is one number, time or text, not an array.

    `check` first tests all values at once (`accepts`), and reads them one by one (`read`) only where that
    fails: the one place where odd values get their meaning.
    """

    def __init__(self, config: FieldConfig, allowed: str, markers: Sequence[str] = MARKERS) -> None:
        self.config = config
        self.name = config.name
        self.allowed = f"{allowed}, or null" if config.nullable else allowed
        self.markers = frozenset(map(trim, markers))

    def check(self, values: list[Any], notes: Notes | None = None) -> Parsed:
        if self.accepts(values):
            return self.load(values), {}
        bad: dict[int, str] = {}
        valid: list[Any] = []
        for row, value in enumerate(values):
            try:
                plain, note = self.read(value)
            except ValueError as error:
                plain, note = None, None
                bad[row] = str(error)
            valid.append(plain)
            if note is not None and notes is not None:
                notes[row] = note
        return self.load(valid), bad

    def accepts(self, values: list[Any]) -> bool:
        raise NotImplementedError

    def load(self, values: list[Any]) -> Column:
        raise NotImplementedError

    def read(self, value: Any) -> tuple[Any, str | None]:
        """A value as `load` takes it, None where it is missing, and how it was read, if that is worth a note.

        Raises:
            ValueError: it is refused; the message says why.
        """
        if is_no_value(value):
            return self.absent(value)
        return self.read_text(value) if isinstance(value, str) else self.read_other(value)

    def read_text(self, text: str) -> tuple[Any, str | None]:
        raise NotImplementedError

    def read_other(self, value: Any) -> tuple[Any, str | None]:
        raise NotImplementedError

    def absent(
        self, value: Any, stands_for: str = "no value", marker: str | None = None
    ) -> tuple[None, str | None]:
        """What a missing value is read as.

        Raises:
            ValueError: no value may be missing.
        """
        if self.config.nullable:
            return None, None if value is None else MISSING + (marker or describe_marker(value))
        if value is None or (isinstance(value, str) and not trim(value)):
            raise ValueError(missing_message(self.name, self.allowed))
        raise self.refusal(f"{describe(value)}, which stands for {stands_for}")

    def refuse(self, column: Column, wrong: NDArray[np.bool_], absent: NDArray[np.bool_]) -> dict[int, str]:
        """Reasons for the rows marked `wrong`, and for those `absent` where that is not allowed."""
        bad = {
            int(row): invalid_message(self.name, describe(column[row]), self.allowed)
            for row in np.flatnonzero(wrong)
        }
        if not self.config.nullable:
            bad.update({int(row): missing_message(self.name, self.allowed) for row in np.flatnonzero(absent)})
        return bad

    def is_marker(self, text: str) -> bool:
        """Whether a text means "no value" where no words can stand."""
        plain = trim(text)
        return plain in self.markers or plain.lower() in NEVER_VALUES

    def refusal(self, arrived: str, hint: str = "") -> ValueError:
        """The error that says what arrived, and what is allowed."""
        message = invalid_message(self.name, arrived, self.allowed)
        return ValueError(f"{message} ({hint})" if hint else message)


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
        absent = np.isnan(column)
        if not absent.any():
            return list(column.astype(np.int64).tolist())
        return [None if math.isnan(value) else int(value) for value in column.tolist()]


class BooleanField(ScalarField):
    """True or false."""

    def __init__(self, config: FieldConfig, markers: Sequence[str] = MARKERS) -> None:
        super().__init__(config, "true or false", markers)
        self.kinds = frozenset({bool, type(None)} if config.nullable else {bool})

    def accepts(self, values: list[Any]) -> bool:
        return self.kinds.issuperset(map(type, values))

    def read_text(self, text: str) -> tuple[Any, str | None]:
        try:
            return parse_truth(text), note_of(text, trim(text))
        except ValueError:
            if self.is_marker(text):
                return self.absent(text)
            raise self.refusal(describe(text)) from None

    def read_other(self, value: Any) -> tuple[Any, str | None]:
        number = int(value) if isinstance(value, bool | np.bool_) else plain_number(value)
        if number not in (0, 1):
            raise self.refusal(describe(value))
        return bool(number), None

    def check_column(self, column: Column) -> dict[int, str]:
        absent = np.isnan(column)
        return self.refuse(column, ~absent & (column != 0) & (column != 1), absent)

    def load(self, values: list[Any]) -> Column:
        return np.array(values, dtype=np.float64)

    def dump(self, column: Column) -> list[Any]:
        return [None if math.isnan(value) else value == 1.0 for value in column.tolist()]


class DatetimeField(ScalarField):
    """A point in time; without an offset it is UTC.

    Args:
        config: with `epoch`, numbers are times too.
        key: of the configuration that says which epoch, for messages.
    """

    def __init__(self, config: FieldConfig, markers: Sequence[str] = MARKERS, key: str = "epoch") -> None:
        super().__init__(config, "a time in ISO 8601, such as 2024-05-01T12:30:00Z", markers)
        self._hint = DIGITS_HINT.format(key=key)
        if config.epoch is not None:
            self.allowed += f", or a number of {EPOCH_UNITS[config.epoch]} since 1970"

    def accepts(self, values: list[Any]) -> bool:
        return all(map(is_regular_time, values))

    def read_text(self, text: str) -> tuple[Any, str | None]:
        try:
            if self.config.epoch is not None and is_digits(text):
                return read_epoch(text, self.config.epoch).isoformat(), None
            return parse_time(text).isoformat(), note_of(text, trim(text))
        except Sentinel as error:
            return self._absent(text, error)
        except ValueError:
            if self.is_marker(text):
                return self.absent(text)
            raise self.refusal(describe(text), self._hint if is_digits(text) else order_hint(text)) from None

    def read_other(self, value: Any) -> tuple[Any, str | None]:
        number = plain_number(value)
        try:
            if number is not None and self.config.epoch is not None:
                return read_epoch(number, self.config.epoch).isoformat(), None
            moment = as_utc(value)
        except Sentinel as error:
            return self._absent(value, error)
        except ValueError:
            raise self.refusal(describe(value)) from None
        if moment is None:
            raise self.refusal(describe(value), "" if number is None else self._hint)
        return moment.isoformat(), None

    def _absent(self, value: Any, error: Sentinel) -> tuple[None, str | None]:
        return self.absent(value, "no time", f"a time of the year {error.year}")

    def check_column(self, column: Column) -> dict[int, str]:
        absent = np.isnat(column)
        return self.refuse(column, sentinel_mask(column), absent)

    def load(self, values: list[Any]) -> Column:
        return np.array(
            [None if value is None else load_time(value) for value in values], dtype="datetime64[us]"
        )

    def dump(self, column: Column) -> list[Any]:
        texts = np.char.add(np.datetime_as_string(column, unit="us"), "Z").tolist()
        if np.isnat(column).any():
            return [None if text == "NaTZ" else text for text in texts]
        return list(texts)


def time_field(record: RecordConfig) -> DatetimeField:
    """The field of when a record was: the column for times in files, `event_time` in requests."""
    config = FieldConfig(
        name="time", column=record.time_column, type="datetime", nullable=True, epoch=record.time_epoch
    )
    return DatetimeField(config, record.missing, key="time_epoch")


def note_of(arrived: str, plain: str) -> str | None:
    """How a text was read: as it is (None), without the blanks around it, or by another spelling."""
    if arrived == plain:
        return None
    return TRIMMED if trim(arrived) == plain else RESPELLED


def describe_marker(value: Any) -> str:
    """The name of what stands for no value."""
    return trim(value) if isinstance(value, str) else describe(value)


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
