"""What fields of one value share: all at once where they are plain, else one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.schema import FieldConfig
from features.records.error_messages import describe, invalid_message, missing_message
from features.records.fields import MARKERS, MISSING, Column, Notes, Parsed, describe_marker
from features.records.spellings import NEVER_VALUES, is_no_value, trim


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
