"""The rules of fields that hold words: text, and categories from an open or a closed set."""

from __future__ import annotations

from typing import Any

import numpy as np

from configs.schema import FieldConfig
from features.records.error_messages import describe, invalid_message, one_of
from features.records.fields import Column, ScalarField


class TextField(ScalarField):
    """Text of bounded length that the store can hold (no NUL, no half of a surrogate pair)."""

    def __init__(self, config: FieldConfig) -> None:
        super().__init__(config, f"text of at most {config.max_length} characters")
        self.longest = config.max_length

    def accepts(self, values: list[Any]) -> bool:
        if self.config.nullable:
            values = [value for value in values if value is not None]
        if any(kind is not str for kind in set(map(type, values))):
            return False
        return not values or (max(map(len, values)) <= self.longest and _storable("".join(values)))

    def fits(self, value: Any) -> bool:
        return isinstance(value, str) and len(value) <= self.longest and _storable(value)

    def check_column(self, column: Column) -> dict[int, str]:
        values = column.tolist()
        return {} if self.accepts(values) else self.check(values)[1]

    def problem(self, value: Any) -> str | None:
        if isinstance(value, str) and len(value) > self.longest:
            return invalid_message(self.name, f"{len(value)} characters", self.allowed)
        if isinstance(value, str) and not _storable(value):
            return invalid_message(
                self.name, f"{describe(value)} with characters that are not text", self.allowed
            )
        return super().problem(value)

    def load(self, values: list[Any]) -> Column:
        column = np.empty(len(values), dtype=object)
        column[:] = values
        return column

    def dump(self, column: Column) -> list[Any]:
        return list(column.tolist())


class CategoryField(TextField):
    """One of a closed set of texts, or any text where no set is given."""

    def __init__(self, config: FieldConfig) -> None:
        super().__init__(config)
        self.closed = frozenset(config.categories)
        if self.closed:
            self.allowed = one_of(config.categories) + (", or null" if config.nullable else "")
        self.known = self.closed | {None} if config.nullable else self.closed

    def accepts(self, values: list[Any]) -> bool:
        if not self.closed:
            return super().accepts(values)
        try:
            return self.known.issuperset(values)
        except TypeError:  # an array or object: not hashable
            return False

    def fits(self, value: Any) -> bool:
        return isinstance(value, str) and value in self.closed if self.closed else super().fits(value)


def _storable(text: str) -> bool:
    if "\x00" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
