"""The items of a feedback request, each checked by itself: valid, or rejected with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from features.records.fields import describe, parse_time
from features.records.labels import LabelContract
from features.records.record_ids import is_id


@dataclass(frozen=True)
class Item:
    """One labelled item at `index` of a request; either `prediction_id` or `record` is None."""

    index: int
    label: str
    prediction_id: str | None
    record: Any
    own_id: str | None
    """The `id` of the record."""
    time: str | None
    """UTC in ISO 8601 with microseconds."""


@dataclass
class CheckedItems:
    """The items of a request that are valid, and why the others are rejected, by index."""

    valid: list[Item]
    rejected: dict[int, str]


def check_items(raw_items: Sequence[Any], contract: LabelContract) -> CheckedItems:
    """Check label, shape and time of each item; records are not checked here."""
    items = CheckedItems([], {})
    raw_labels = [item.get("label") if isinstance(item, dict) else None for item in raw_items]
    labels, label_problems = contract.check(raw_labels)
    for index, (item, label, problem) in enumerate(zip(raw_items, labels, label_problems, strict=True)):
        reason = _shape_problem(item) or problem or _time_problem(item)
        if reason is not None or label is None:
            items.rejected[index] = reason or "label: missing"
        else:
            items.valid.append(_read_item(index, item, label))
    return items


def _read_item(index: int, item: dict[str, Any], label: str) -> Item:
    record = item.get("record")
    own_id = record.get("id") if isinstance(record, dict) else None
    return Item(
        index=index,
        label=label,
        prediction_id=item.get("prediction_id"),
        record=record,
        own_id=None if own_id is None else str(own_id),
        time=_time_text(item.get("event_time")),
    )


def _shape_problem(item: Any) -> str | None:
    allowed = "an object with `label` and either `prediction_id` or `record`"
    if not isinstance(item, dict):
        return f"got {describe(item)}; allowed: {allowed}"
    prediction_id, record = item.get("prediction_id"), item.get("record")
    if (prediction_id is None) == (record is None):
        return f"got {'neither' if record is None else 'both'}; allowed: {allowed}"
    if prediction_id is not None and not (isinstance(prediction_id, str) and is_id(prediction_id)):
        return f"prediction_id: got {describe(prediction_id)}; allowed: the id of a prediction"
    if isinstance(record, dict) and not is_id(record.get("id")):
        return f"field 'id': got {describe(record['id'])}; allowed: text or a whole number"
    return None


def _time_problem(item: Any) -> str | None:
    value = item.get("event_time")
    if value is None:
        return None
    try:
        parse_time(value)
    except (TypeError, ValueError, OverflowError):
        return f"event_time: got {describe(value)}; allowed: a time in ISO 8601, such as 2024-05-01T12:30:00Z"
    return None


def _time_text(value: str | None) -> str | None:
    """The time as files have it: a row has one identity, whether it comes by file or by request."""
    return None if value is None else parse_time(value).isoformat(timespec="microseconds") + "Z"
