"""The rules of a label: it is text, and one of the classes where those are listed.

Where a row has many labels, they are stored as one text: each once, in alphabetical order, with
the separator between them. Equal sets of labels give equal texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from configs.schema import TargetConfig
from features.records.error_messages import describe, one_of

MAX_LENGTH = 500
MAX_LABELS = 1000
"""Most labels of one row."""
_TRUTHS = (("0", "1"), ("false", "true"), ("False", "True"))


class LabelContract:
    """What a label may be.

    Whole numbers stand for their text: 3 and 3.0 are "3". True and false are "1" and "0",
    unless the classes are spelled "true" and "false" (or "True" and "False").

    >>> LabelContract(TargetConfig(task="binary", classes=("no", "yes"))).check(["yes", "maybe"])
    (['yes', None], [None, "label: got 'maybe' (text); allowed: one of 'no', 'yes'"])
    """

    def __init__(self, target: TargetConfig) -> None:
        self.classes = frozenset(target.classes)
        self.allowed = one_of(target.classes) if target.classes else f"text of 1 to {MAX_LENGTH} characters"
        fitting = (pair for pair in _TRUTHS if self.classes.issuperset(pair))
        self._truths = next(fitting, _TRUTHS[0])
        self._separator = target.separator if target.task == "multilabel" else None

    def check(self, values: Sequence[Any]) -> tuple[list[str | None], list[str | None]]:
        """Labels (None where refused) and reasons (None where accepted), one a value.

        With many labels a row, a value is a list of labels, or text with the separator between them.
        """
        if self._separator is not None:
            return self._check_sets(values, self._separator)
        return self._check_each(values)

    def _check_sets(self, values: Sequence[Any], separator: str) -> tuple[list[str | None], list[str | None]]:
        labels: list[str | None] = [None] * len(values)
        problems: list[str | None] = [None] * len(values)
        for row, value in enumerate(values):
            parts = _parts(value, separator)
            if parts is None:
                problems[row] = self._not_a_set(value, separator)
            elif not 0 < len(parts) <= MAX_LABELS:
                problems[row] = f"label: got {len(parts)} labels; allowed: 1 to {MAX_LABELS}"
            else:
                labels[row], problems[row] = self._join(parts, separator)
        return labels, problems

    def _join(self, parts: list[Any], separator: str) -> tuple[str | None, str | None]:
        checked, reasons = self._check_each(parts)
        labels = {label for label in checked if label is not None}
        reason = next((reason for reason in reasons if reason is not None), None)
        if divided := next((label for label in labels if separator in label), None):
            reason = f"label: got {describe(divided)}; allowed: text without the separator '{separator}'"
        return (join_labels(labels, separator), None) if reason is None else (None, reason)

    def _check_each(self, values: Sequence[Any]) -> tuple[list[str | None], list[str | None]]:
        labels: list[str | None] = list(values)
        if self.classes:
            try:
                if self.classes.issuperset(labels):
                    return labels, [None] * len(labels)
            except TypeError:  # an array or object: not hashable
                pass
        problem_by_text: dict[str, str | None] = {}
        problems: list[str | None] = [None] * len(labels)
        for row, value in enumerate(values):
            text = self._text(value)
            if text is not None and text not in problem_by_text:
                problem_by_text[text] = self._problem(text)
            problem = problem_by_text[text] if text is not None else self._untextual(value)
            labels[row] = text if problem is None else None
            problems[row] = problem
        return labels, problems

    def _text(self, value: Any) -> str | None:
        if isinstance(value, str):
            return value
        if isinstance(value, bool | np.bool_):
            return self._truths[bool(value)]
        if isinstance(value, int | np.integer):
            return str(int(value))
        if isinstance(value, float | np.floating) and float(value).is_integer():
            return str(int(value))
        return None

    def _problem(self, text: str) -> str | None:
        listed = text in self.classes if self.classes else text.isprintable()
        fine = listed and 0 < len(text) <= MAX_LENGTH
        return None if fine else f"label: got {describe(text)}; allowed: {self.allowed}"

    def _untextual(self, value: Any) -> str:
        return f"label: {_arrived(value)}; allowed: {self.allowed}"

    def _not_a_set(self, value: Any, separator: str) -> str:
        allowed = f"a list, or text with '{separator}' between, of labels, each {self.allowed}"
        return f"label: {_arrived(value)}; allowed: {allowed}"


def join_labels(labels: Iterable[str], separator: str) -> str:
    """The one text for a set of labels.

    >>> join_labels(["b", "a", "b"], "|")
    'a|b'
    """
    return separator.join(sorted(set(labels)))


def split_labels(text: str, separator: str) -> list[str]:
    """Inverse of `join_labels`; no text, no labels."""
    return text.split(separator) if text else []


def _arrived(value: Any) -> str:
    return "missing" if value is None or value != value else f"got {describe(value)}"


def _parts(value: Any, separator: str) -> list[Any] | None:
    """The labels in a value; None where it can hold none."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(separator) if part.strip()]
    return list(value) if isinstance(value, list | tuple | np.ndarray) else None
