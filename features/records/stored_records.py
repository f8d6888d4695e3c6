"""Records that were stored under an earlier configuration, under the rules of this one."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from contextlib import suppress
from operator import itemgetter
from typing import Any

import numpy as np
import orjson

from features.records.contract import CheckedRecords, RecordContract, join_columns
from features.records.error_messages import describe, invalid_message
from features.records.fields import Field, Parsed
from features.records.image_field import ImageField
from features.records.scalars.numbers import NumberField
from features.records.scalars.truths import BooleanField
from features.records.times import load_time


def check_stored(
    contract: RecordContract, documents: Sequence[str | bytes | dict[str, Any]]
) -> CheckedRecords:
    """Records of canonical JSON that fit the contract, exact as by `from_json`, and why others do not.

    A field that a record lacks, as it was added since, counts as missing; one that was removed is ignored.
    """
    records = [document if isinstance(document, dict) else orjson.loads(document) for document in documents]
    values = _values(records, list(contract.fields))
    parsed = {name: _check(field, values[name]) for name, field in contract.fields.items()}
    return join_columns(len(records), parsed, {})


def _values(records: Sequence[dict[str, Any]], names: list[str]) -> dict[str, list[Any]]:
    """The values of each field, by record; None where it has none."""
    if records and len(names) > 1:  # of one name `itemgetter` makes no tuple
        with suppress(KeyError):
            columns = zip(*map(itemgetter(*names), records), strict=True)
            return dict(zip(names, map(list, columns), strict=True))
    return {name: [record.get(name) for record in records] for name in names}


def _check(field: Field, values: list[Any]) -> Parsed:
    if isinstance(field, ImageField):
        return check_levels(field, values)
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
