"""The rules of fields that hold a point in time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from configs.schema import FieldConfig, RecordConfig
from features.records.error_messages import describe
from features.records.fields import MARKERS, Column, note_of
from features.records.scalars.numbers import plain_number
from features.records.scalars.scalar_field import ScalarField
from features.records.spellings import trim
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
