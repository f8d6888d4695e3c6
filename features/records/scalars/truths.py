"""The rules of fields that are true or false."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from configs.schema import FieldConfig
from features.records.error_messages import describe
from features.records.fields import MARKERS, Column, note_of
from features.records.scalars.numbers import plain_number
from features.records.scalars.scalar_field import ScalarField
from features.records.spellings import parse_truth, trim


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
