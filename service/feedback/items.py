"""The items of a feedback request, one by one: which can be stored, and what is wrong with the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from features.records.fields import describe, parse_time
from features.records.labels import LabelContract
from service.answers.requests import is_id


@dataclass(frozen=True)
class Item:
    """One labelled item, at its place in the request."""

    index: int
    label: str
    prediction_id: str | None
    record: Any
    own_id: str | None
    time: str | None


@dataclass
class Sorted:
    """Items that may be stored, and those refused with the reason."""

    items: list[Item]
    rejected: dict[int, str]


def sort_items(raw: Sequence[Any], contract: LabelContract) -> Sorted:
    """Tell the items that may be stored from those that are refused; records are not looked into."""
    found = Sorted([], {})
    given = [item.get("label") if isinstance(item, dict) else None for item in raw]
    labels, problems = contract.check(given)
    for index, (item, label, problem) in enumerate(zip(raw, labels, problems, strict=True)):
        reason = _shape_problem(item) or problem or _time_problem(item)
        if reason is not None or label is None:
            found.rejected[index] = reason or "label: missing"
            continue
        own_id = item["record"].get("id") if isinstance(item.get("record"), dict) else None
        found.items.append(
            Item(
                index,
                label,
                item.get("prediction_id"),
                item.get("record"),
                None if own_id is None else str(own_id),
                _time_text(item.get("event_time")),
            )
        )
    return found


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
    """The time as files have it, so that the same row sent either way is the same row."""
    return None if value is None else parse_time(value).isoformat(timespec="microseconds") + "Z"
