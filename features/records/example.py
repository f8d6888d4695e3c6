"""An example of a record, made from its description: valid, but of no meaning."""

from __future__ import annotations

import math
from typing import Any

from configs.schema import FieldConfig, RecordConfig


def example_record(record: RecordConfig) -> dict[str, Any]:
    """One record that the contract of `record` accepts, as JSON values."""
    return {field.name: _value(field) for field in record.fields}


def _value(field: FieldConfig) -> Any:
    if field.type == "integer":
        return math.ceil(_number(field))
    if field.type == "number":
        return _number(field)
    if field.type == "boolean":
        return True
    if field.type == "category":
        return field.categories[0] if field.categories else "example"[: field.max_length]
    if field.type == "text":
        return "An example of a text."[: field.max_length]
    if field.type == "datetime":
        return "2024-05-17T09:30:00Z"
    return _ring_image(field)


def _number(field: FieldConfig) -> float:
    """The middle of the bounds, or as near to 1 as a single bound allows."""
    low, high = field.minimum, field.maximum
    if low is not None and high is not None:
        return (low + high) / 2
    if low is not None:
        return max(low, 1.0)
    return min(high, 1.0) if high is not None else 1.0


def _ring_image(field: FieldConfig) -> list[list[Any]]:
    """A bright ring on a dark ground, as rows of pixels; in colour, a yellow one on blue."""
    if field.shape is None:
        raise ValueError(f"field '{field.name}' is an image without a shape")
    height, width = field.shape[:2]
    dark, bright = field.range
    radius, stroke = min(height, width) * 0.3, max(1.0, min(height, width) * 0.08)

    ground: Any = dark if len(field.shape) == 2 else [dark, dark, bright]
    ring: Any = bright if len(field.shape) == 2 else [bright, bright, dark]

    def pixel(row: int, column: int) -> Any:
        distance = math.hypot(row - (height - 1) / 2, column - (width - 1) / 2)
        return ring if abs(distance - radius) <= stroke else ground

    return [[pixel(row, column) for column in range(width)] for row in range(height)]
