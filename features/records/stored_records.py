"""Records that were stored under an earlier configuration, under the rules of this one."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import orjson

from features.records.contract import CheckedRecords, RecordContract, join_columns
from features.records.error_messages import describe, invalid_message
from features.records.fields import Field, Parsed
from features.records.image_field import ImageField
from features.records.scalars.numbers import NumberField
from features.records.scalars.texts import TextField
from features.records.scalars.truths import BooleanField
from features.records.times import load_time

_AT_ONCE = 500
"""Records as objects at a time: so few are still at hand when their values are taken."""


def check_stored(
    contract: RecordContract, documents: Sequence[str | bytes | dict[str, Any]]
) -> CheckedRecords:
    """Records of canonical JSON that fit the contract, exact as by `from_json`, and why others do not.

    A field that a record lacks, as it was added since, counts as missing; one that was removed is ignored.
    """
    values = _values(documents, list(contract.fields))
    parsed = {name: _check(field, values[name]) for name, field in contract.fields.items()}
    return join_columns(len(documents), parsed, {})


def _values(documents: Sequence[str | bytes | dict[str, Any]], names: list[str]) -> dict[str, list[Any]]:
    """The values of each field, by record; None where it has none."""
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for start in range(0, len(documents), _AT_ONCE):
        records = [
            one if isinstance(one, dict) else orjson.loads(one) for one in documents[start : start + _AT_ONCE]
        ]
        for name, values in columns.items():
            try:
                values += [record[name] for record in records]
            except KeyError:
                values += [record.get(name) for record in records]
    return columns


def _check(field: Field, values: list[Any]) -> Parsed:
    if isinstance(field, ImageField):
        return check_levels(field, values)
    if isinstance(field, NumberField | TextField) and field.accepts(values):  # and so of their own type
        return field.load(values), {}
    column, bad = field.check(values)
    own = _own_kind(field)
    if not _kinds(values) <= own:
        for row, value in enumerate(values):
            # A number that would do as a word, say: the same row of a file would be another row.
            if row not in bad and not _kinds((value,)) <= own:
                arrived = f"{describe(value)} of another type"
                bad[row] = invalid_message(field.config.name, arrived, field.allowed)
    # As it was stored, whatever it would be spelled like now: versions have learned from it so.
    fitting = [None if row in bad else value for row, value in enumerate(values)] if bad else values
    try:
        return field.load(fitting), bad
    except (ValueError, OverflowError):  # texts of when the field was none of times
        return field.load(list(map(_as_time, fitting, field.dump(column)))), bad


def _as_time(stored: str | None, read: str | None) -> str | None:
    """What `load` of times takes of a value as it was stored: itself, or else as it is read now."""
    if stored is None:
        return None
    try:
        load_time(stored)
    except (ValueError, OverflowError):
        return read
    return stored


def _own_kind(field: Field) -> set[str]:
    """The type that JSON has for what a field stores."""
    if isinstance(field, NumberField):
        return {"number"}
    return {"bool"} if isinstance(field, BooleanField) else {"str"}


def _kinds(values: Iterable[Any]) -> set[str]:
    """The types that JSON has for these values; null is of any."""
    types = set(map(type, values)) - {type(None)}
    return {"number" if issubclass(one, int | float) and one is not bool else one.__name__ for one in types}


def check_levels(field: ImageField, values: Sequence[Any]) -> Parsed:
    """Images as canonical JSON has them: base64 of the levels of its shape."""
    levels = np.zeros((len(values), field.size), dtype=np.uint8)
    bad: dict[int, str] = {}
    for row, value in enumerate(values):
        raw = _decode(value)
        if raw is None or len(raw) != field.size:
            arrived = describe(value) if raw is None else f"{len(raw)} levels"
            bad[row] = invalid_message(field.name, arrived, field.allowed)
        else:
            levels[row] = np.frombuffer(raw, dtype=np.uint8)
    return levels.reshape(-1, *field.shape), bad


def _decode(value: Any) -> bytes | None:
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        return None
