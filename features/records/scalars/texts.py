"""The rules of fields that hold words: text, and categories from an open or a closed set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from configs.schema import FieldConfig
from configs.spelling.near_names import NearWords
from features.records.error_messages import describe, describe_unlisted, one_of
from features.records.fields import MARKERS, Column, note_of
from features.records.scalars.numbers import plain_number
from features.records.scalars.scalar_field import ScalarField
from features.records.spellings import ClosedSet, spell_word, trim, word_of


class TextField(ScalarField):
    """Text of bounded length that the store can hold (no NUL, no half of a surrogate pair), as it is.

    Numbers and truths become their text.
    """

    def __init__(self, config: FieldConfig, markers: Sequence[str] = MARKERS) -> None:
        super().__init__(config, f"text of at most {config.max_length} characters", markers)
        self.longest = config.max_length

    def accepts(self, values: list[Any]) -> bool:
        if self.config.nullable:
            values = [value for value in values if value is not None]
        if any(kind is not str for kind in set(map(type, values))):
            return False
        return not values or (max(map(len, values)) <= self.longest and _storable("".join(values)))

    def check_column(self, column: Column) -> dict[int, str]:
        values = column.tolist()
        return {} if self.accepts(values) else self.check(values)[1]

    def read_text(self, text: str) -> tuple[Any, str | None]:
        return self.bounded(text), None

    def read_other(self, value: Any) -> tuple[Any, str | None]:
        word = word_of(value)
        if word is None:
            raise self.refusal(describe(value), _exact_hint(value))
        return self.bounded(word), None

    def bounded(self, text: str) -> str:
        """The text.

        Raises:
            ValueError: it is too long, or the store cannot hold it.
        """
        if len(text) > self.longest:
            raise self.refusal(f"{len(text)} characters")
        if not _storable(text):
            raise self.refusal(f"{describe(text)} with characters that are not text")
        return text

    def load(self, values: list[Any]) -> Column:
        column = np.empty(len(values), dtype=object)
        column[:] = values
        return column

    def dump(self, column: Column) -> list[Any]:
        return list(column.tolist())


def load_words(rows: Sequence[Sequence[Any]], fields: int) -> Column:
    """What `load` of text and category fields makes of n rows of their values, (n, fields)."""
    columns = np.empty((len(rows), fields), dtype=object)
    columns[:] = rows
    return columns


class CategoryField(TextField):
    """One of a closed set of texts, or any text where no set is given; each in one spelling."""

    def __init__(self, config: FieldConfig, markers: Sequence[str] = MARKERS) -> None:
        super().__init__(config, markers)
        self.closed = ClosedSet(config.categories) if config.categories else None
        self.near = NearWords(config.categories)
        if self.closed is not None:
            self.allowed = one_of(config.categories) + (", or null" if config.nullable else "")
            self.known = self.closed.words | {None} if config.nullable else self.closed.words

    def accepts(self, values: list[Any]) -> bool:
        if self.closed is None:
            return super().accepts(values) and all(map(self._is_plain, set(values)))
        try:
            return self.known.issuperset(values)
        except TypeError:  # an array or object: not hashable
            return False

    def read_text(self, text: str) -> tuple[Any, str | None]:
        word = spell_word(text) if self.closed is None else self.closed.find(text)
        if word is None or (self.closed is None and word in self.markers):
            if trim(text) in self.markers:
                return self.absent(text)
            raise self.refusal(describe_unlisted(text, self.config.categories) + self.near.meant(text))
        return self.bounded(word), note_of(text, word)

    def read_other(self, value: Any) -> tuple[Any, str | None]:
        word = word_of(value) if self.closed is None else self.closed.find(value)
        if word is None:
            if word_of(value) in self.markers:
                return self.absent(value)
            raise self.refusal(describe(value), _exact_hint(value))
        return (
            self.absent(value) if self.closed is None and word in self.markers else (self.bounded(word), None)
        )

    def _is_plain(self, value: str | None) -> bool:
        return value is None or (spell_word(value) == value and value not in self.markers)


def _exact_hint(value: Any) -> str:
    """What to say of a number that may stand for several."""
    big = plain_number(value) is not None and math.isfinite(value)
    return "so large a number is not exact: send it as text" if big else ""


def _storable(text: str) -> bool:
    if "\x00" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
