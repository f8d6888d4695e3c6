"""The items of a feedback request, each checked by itself: valid, or rejected with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from configs.schema import RecordConfig
from configs.spelling.near_names import nearest
from features.records.error_messages import describe
from features.records.ids import read_id, read_source
from features.records.labels import LabelContract
from features.records.scalars.datetimes import time_field
from features.records.spellings import trim

KEYS = ("label", "prediction_id", "record", "event_time", "source")
"""Of an item; one that the records are grouped by may come besides."""


@dataclass(frozen=True)
class Item:
    """One labelled item at `index` of a request; either `prediction_id` or `record` is None."""

    index: int
    label: str
    prediction_id: str | None
    record: Any
    own_id: str | None
    """The `id` of the record."""
    group: str | None
    """What the record is grouped by, where that is no field."""
    time: str | None
    """UTC in ISO 8601 with microseconds."""
    source: str | None = None
    """What the caller names as the source of the label."""


@dataclass
class CheckedItems:
    """The items of a request that are valid, and why the others are rejected, by index."""

    valid: list[Item]
    rejected: dict[int, str]
    notes: dict[int, str] = field(default_factory=dict)
    """By index, what is said of items that are valid: keys that are not read, and nearly one that is, or one
    that belongs elsewhere in the item."""


def check_items(raw_items: Sequence[Any], contract: LabelContract, record: RecordConfig) -> CheckedItems:
    """Check label, shape, ids and time of each item; records are not checked here."""
    reader = _ItemReader(record)
    items = CheckedItems([], {})
    raw_labels = [item.get("label") if isinstance(item, dict) else None for item in raw_items]
    labels, label_problems = contract.check(raw_labels)
    for index, (item, label, problem) in enumerate(zip(raw_items, labels, label_problems, strict=True)):
        try:
            reason = _shape_problem(item, reader.keys) or _with_place(problem, item)
            if reason is None and label is not None:
                items.valid.append(reader.read(index, item, label))
                if told := [*_unread(item, reader.keys), *reader.misplaced(item)]:
                    items.notes[index] = "; ".join(told)
            else:
                items.rejected[index] = reason or "label: missing"
        except ValueError as error:
            items.rejected[index] = str(error)
    return items


class _ItemReader:
    """Reads items whose shape and label are fine, by the rules of files."""

    def __init__(self, record: RecordConfig) -> None:
        self._markers = record.missing
        self._time = time_field(record)
        self._group_key = record.group_key
        self.keys = (*KEYS, *([] if record.group_key is None else [record.group_key]))
        names = {field.name for field in record.fields}
        self._time_column = None if record.time_column in (*names, *self.keys) else record.time_column
        self._id_column = None if record.id_column in (*names, "id") else record.id_column
        self._beside = {key: key for key in ("event_time", "source") if key not in names}
        if self._time_column is not None:
            self._beside[self._time_column] = "event_time"
        self._names_answer = "prediction_id" not in names
        self._named_id = "id" not in names

    def read(self, index: int, item: dict[str, Any], label: str) -> Item:
        """One item.

        Raises:
            ValueError: an id or the time is refused.
        """
        record = item.get("record")
        return Item(
            index=index,
            label=label,
            prediction_id=self._id("prediction_id", item.get("prediction_id")),
            record=record,
            own_id=self._id("field 'id'", record.get("id")) if isinstance(record, dict) else None,
            group=self._group(item, record),
            time=self._event_time(item.get("event_time")),
            source=self._source(item.get("source")),
        )

    def misplaced(self, item: dict[str, Any]) -> list[str]:
        """What is said of keys that an item has in its record and should have beside it, or the other way."""
        record = item.get("record")
        told = []
        if self._is_there(self._time_column, item) and "event_time" not in item:
            told.append(f"'{self._time_column}' is not read; `event_time` is when it became true")
        if not isinstance(record, dict):
            return told
        for key, own in self._beside.items():
            if self._is_there(key, record) and own not in item:
                told.append(f"'{key}' in the record is not read; beside `record` it is `{own}`")
        if self._names_answer and self._is_there("prediction_id", record):
            told.append("'prediction_id' in the record is not read; an item has it in the place of `record`")
        if self._is_there(self._id_column, record) and "id" not in record:
            told.append(f"'{self._id_column}' in the record is not read; in requests that is its `id`")
        if self._named_id and self._is_there("id", item) and "id" not in record:
            told.append("'id' beside the record is not read; it belongs into it")
        return told

    @staticmethod
    def _is_there(key: str | None, mapping: dict[str, Any]) -> bool:
        return key is not None and mapping.get(key) is not None

    def _group(self, item: dict[str, Any], record: Any) -> str | None:
        """Of the record, or beside it: a label for a prediction comes without one."""
        if (key := self._group_key) is None:
            return None
        own = self._id(f"field '{key}'", record.get(key)) if isinstance(record, dict) else None
        beside = self._id(f"field '{key}'", item.get(key))
        if own is not None and beside is not None and own != beside:
            both = f"{describe(own)} in the record and {describe(beside)} beside it"
            raise ValueError(f"field '{key}': got {both}; allowed: one of the two, or the same")
        return own if beside is None else beside

    def _id(self, place: str, value: Any) -> str | None:
        try:
            return read_id(value, self._markers)[0]
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from error

    def _source(self, value: Any) -> str | None:
        try:
            return read_source(value, self._markers)
        except ValueError as error:
            raise ValueError(f"source: {error}") from error

    def _event_time(self, value: Any) -> str | None:
        """UTC in ISO 8601, as files have it: a row has one identity, whichever way it comes."""
        column, bad = self._time.check([value])
        if bad:
            raise ValueError(bad[0].replace("field 'time'", "event_time", 1))
        text: str | None = self._time.dump(column)[0]
        return text


def _unread(item: dict[str, Any], keys: Sequence[str]) -> list[str]:
    """Of a key beside those that are read, nearly one that the item lacks: it may be the caller's own."""
    absent = [key for key in keys if key not in item]
    told = [_near(key, absent, "is not read") for key in item if key not in keys]
    return [one for one in told if one is not None]


def _with_place(problem: str | None, item: Any) -> str | None:
    """What is wrong with a label; where there is none, with the place where one is."""
    record = item.get("record") if isinstance(item, dict) else None
    if problem is None or "label" in item or not isinstance(record, dict) or record.get("label") is None:
        return problem
    return f"{problem}; 'label' in the record is not read; it belongs beside `record`"


def _misspelled(item: dict[str, Any], keys: Sequence[str]) -> str | None:
    """A key that is nearly one without which an item says nothing."""
    needed = [] if "label" in item else ["label"]
    if "prediction_id" not in item and "record" not in item:
        needed += ["prediction_id", "record"]
    told = (_near(key, needed, f"allowed: {', '.join(keys)}") for key in item if key not in keys)
    return next((one for one in told if one is not None), None)


def _near(key: str, absent: Sequence[str], what: str) -> str | None:
    near = nearest(key, absent)
    return None if near is None else f"unknown key {key!r:.80} (is '{near}' meant?); {what}"


def _shape_problem(item: Any, keys: Sequence[str]) -> str | None:
    allowed = "an object with `label` and either `prediction_id` or `record`"
    if not isinstance(item, dict):
        return f"got {describe(item)}; allowed: {allowed}"
    if (misspelled := _misspelled(item, keys)) is not None:
        return misspelled
    prediction_id, record = item.get("prediction_id"), item.get("record")
    if (prediction_id is None) == (record is None):
        came = (
            "neither `prediction_id` nor `record`" if record is None else "both `prediction_id` and `record`"
        )
        return f"got {came}; allowed: {allowed}"
    if prediction_id is not None and not (isinstance(prediction_id, str) and trim(prediction_id)):
        return f"prediction_id: got {describe(prediction_id)}; allowed: the id of a prediction"
    return None
