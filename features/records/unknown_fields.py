"""Fields of records that the use case does not have, and those that were probably meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from configs.schema import RecordConfig
from configs.spelling.near_names import nearest
from features.errors import Problem

MOST_NAMES = 20
"""Fields that a message lists."""
MOST_COMPARED = 10_000
"""Pairs of names that one call compares, so that a request of thousands of names holds nobody up."""
SHOWN_NAME = 80


class UnknownFields:
    """Names the fields of records that one use case does not have."""

    def __init__(self, record: RecordConfig) -> None:
        self._names = tuple(field.name for field in record.fields)
        beside = ("id", record.group_key, record.id_column, record.time_column)
        self._keys = frozenset({*self._names, *(name for name in beside if name is not None)})
        # A field goes by its name here, or that of its column in files.
        self._fields = {field.column: field.name for field in record.fields if field.column is not None}
        self._fields |= {name: name for name in self._names}

    def find(self, records: Sequence[Any], told: Sequence[Problem] = ()) -> list[Problem]:
        """A problem for each, with the field that was probably meant, or those that there are.

        Args:
            told: problems that are known; what they name is left out.
        """
        meant = _Meant(self._fields)
        named = {(problem.row, problem.stray) for problem in told if problem.stray}
        return [
            Problem(
                row, name, f"field '{_shortened(name)}': there is no such field; {self._instead(meant(name))}"
            )
            for row, record in enumerate(records)
            if isinstance(record, Mapping)
            for name in self._unknown(record)
            if (row, name) not in named
        ]

    def ask_for_missing(self, records: Sequence[Any], problems: Sequence[Problem]) -> list[Problem]:
        """The problems; one of a field that its record lacks asks whether an unknown one is meant for it."""
        meant = _Meant(self._fields)
        strays: dict[int, dict[str, str]] = {}
        asked = []
        for problem in problems:
            row, record = problem.row, records[problem.row]
            stray = None
            if problem.field and problem.field not in record:
                if row not in strays:
                    # Of several that are near one field the first is told.
                    strays[row] = {meant(name) or "": name for name in reversed(self._unknown(record))}
                stray = strays[row].get(problem.field)
            asked.append(problem if stray is None else _with_question(problem, stray))
        return asked

    def _unknown(self, record: Mapping[str, Any]) -> list[str]:
        return [name for name in record if name not in self._keys]

    def _instead(self, near: str | None) -> str:
        if near is not None:
            return f"is '{near}' meant?"
        return f"allowed: {', '.join(self._names[:MOST_NAMES])}{', ...' * (len(self._names) > MOST_NAMES)}"


class _Meant:
    """Says which field is nearest to a name, each name once; None: none is, or too many were asked for."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = fields
        self._left = MOST_COMPARED // max(len(fields), 1)
        self._known: dict[str, str | None] = {}

    def __call__(self, name: str) -> str | None:
        if name not in self._known:
            if not self._left:
                return None
            self._left -= 1
            near = nearest(name, self._fields)
            self._known[name] = None if near is None else self._fields[near]
        return self._known[name]


def _shortened(name: str) -> str:
    return name if len(name) <= SHOWN_NAME else f"{name[:SHOWN_NAME]}..."


def _with_question(problem: Problem, stray: str) -> Problem:
    told = f"{problem.message}; is '{_shortened(stray)}' meant for it?"
    return replace(problem, message=told, stray=stray)
