"""The rules of a label: it is text, and one of the classes where those are listed.

Where a row has many labels, they are stored as one text: each once, in alphabetical order, with
the separator between them. Equal sets of labels give equal texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import orjson

from configs.schema import TargetConfig
from configs.spelling.near_names import NearWords
from features.records.error_messages import describe, describe_unlisted, one_of
from features.records.fields import MARKERS, Notes, note_of
from features.records.spellings import ClosedSet, is_no_value, spell_word, trim, word_of

MAX_LENGTH = 500
MAX_LABELS = 1000
"""Most labels of one row."""
_Read = tuple[str | None, str | None, str | None]
"""The label, why it is refused, and how it was read."""


class LabelContract:
    """What a label may be, whatever brings it.

    A class is found by any spelling that can mean only that one (`features.records.spellings.ClosedSet`): 3
    and 3.0 are "3", true is "1" or "true" as the classes are. Without classes each label has one spelling.

    >>> LabelContract(TargetConfig(task="binary", classes=("no", "yes"))).check(["yes", "maybe"])
    (['yes', None], [None, "label: got 'maybe' (text); allowed: one of 'no', 'yes'"])

    Args:
        target: the task, the classes and the separator.
        markers: texts that mean "no label", save those that are classes.
    """

    def __init__(self, target: TargetConfig, markers: Sequence[str] = MARKERS) -> None:
        self._listed = target.classes
        self.classes = frozenset(target.classes)
        self._closed = ClosedSet(target.classes) if target.classes else None
        self._near = NearWords(target.classes)
        self.allowed = (
            one_of(target.classes) if target.classes else f"text of 1 to {MAX_LENGTH} printable characters"
        )
        self._markers = frozenset(map(trim, markers)) | {""}
        self._separator = target.separator if target.task == "multilabel" else None

    def check(
        self, values: Sequence[Any], notes: Notes | None = None
    ) -> tuple[list[str | None], list[str | None]]:
        """Labels (None where refused) and reasons (None where accepted), one a value.

        With many labels a row, a value is a list of labels (also as JSON in a text), text with the separator
        between them, or one label that is a number; no label at all is a set too, the empty text.
        """
        noted: Notes = {} if notes is None else notes
        if self._separator is not None:
            return self._check_sets(values, self._separator, noted)
        return self._check_each(values, noted)

    def _check_sets(
        self, values: Sequence[Any], separator: str, notes: Notes
    ) -> tuple[list[str | None], list[str | None]]:
        labels: list[str | None] = [None] * len(values)
        problems: list[str | None] = [None] * len(values)
        for row, value in enumerate(values):
            parts = self._parts(value, separator)
            if parts is None:
                problems[row] = self._not_a_set(value, separator)
            elif len(parts) > MAX_LABELS:
                problems[row] = f"label: got {len(parts)} labels; allowed: at most {MAX_LABELS}"
            else:
                part_notes: Notes = {}
                labels[row], problems[row] = self._join(parts, separator, part_notes)
                if part_notes:
                    notes[row] = max(part_notes.values())
        return labels, problems

    def _join(self, parts: list[Any], separator: str, notes: Notes) -> tuple[str | None, str | None]:
        checked, reasons = self._check_each(parts, notes)
        labels = {label for label in checked if label is not None}
        reason = next((reason for reason in reasons if reason is not None), None)
        if divided := next((label for label in labels if separator in label), None):
            reason = f"label: got {describe(divided)}; allowed: text without the separator '{separator}'"
        return (join_labels(labels, separator), None) if reason is None else (None, reason)

    def _check_each(self, values: Sequence[Any], notes: Notes) -> tuple[list[str | None], list[str | None]]:
        labels: list[str | None] = list(values)
        if self.classes:
            try:
                if self.classes.issuperset(labels):
                    return labels, [None] * len(labels)
            except TypeError:  # an array or object: not hashable
                pass
        read_texts: dict[str, _Read] = {}
        problems: list[str | None] = [None] * len(labels)
        for row, value in enumerate(values):
            if isinstance(value, str):
                read = read_texts.get(value)
                if read is None:
                    read = read_texts[value] = self._read(value)
            else:
                read = self._read(value)
            labels[row], problems[row], note = read
            if note is not None:
                notes[row] = note
        return labels, problems

    def _read(self, value: Any) -> _Read:
        """One label of whatever type."""
        if is_no_value(value) or (isinstance(value, str) and not trim(value) and "" not in self.classes):
            return None, f"label: missing; allowed: {self.allowed}", None
        if self._closed is not None:
            label = self._closed.find(value)
        else:
            label = spell_word(value) if isinstance(value, str) else word_of(value)
        note = note_of(value, label) if isinstance(value, str) and label is not None else None
        if label is None or (self._closed is None and label in self._markers):
            return None, self._refusal(value), None
        fine = self._closed is not None or (len(label) <= MAX_LENGTH and label.isprintable())
        return (label, None, note) if fine else (None, self._refusal(value), None)

    def _refusal(self, value: Any) -> str:
        text = value if isinstance(value, str) else None
        arrived = describe(value) if text is None else describe_unlisted(text, self._listed)
        if text is not None:
            stands_for_none = trim(text) in self._markers
            arrived += ", which stands for no label" if stands_for_none else self._near.meant(text)
        return f"label: got {arrived}; allowed: {self.allowed}"

    def _parts(self, value: Any, separator: str) -> list[Any] | None:
        """The labels in a value; None where it can hold none."""
        if isinstance(value, str):
            return self._parts_of_text(trim(value), separator)
        if isinstance(value, list | tuple | np.ndarray):
            return list(value)
        return None if is_no_value(value) or word_of(value) is None else [value]

    def _parts_of_text(self, text: str, separator: str) -> list[Any] | None:
        if text and text in self._markers and text not in self.classes:
            return None
        if text.startswith("[") and text.endswith("]"):
            try:
                return list(orjson.loads(text))
            except orjson.JSONDecodeError:
                if text[1:2] in ("'", '"'):  # a list as Python writes it would become one label
                    return None
        return [part for part in text.split(separator) if trim(part)]

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
    return "missing" if is_no_value(value) else f"got {describe(value)}"
