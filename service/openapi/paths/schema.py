"""The description of a use case's record in the OpenAPI document."""

from __future__ import annotations

from typing import get_args

from configs.schema import FieldType, Kind, Task, UseCase
from service.openapi.operations import operation
from service.openapi.pieces import BOOLEAN, INTEGER, NUMBER, TEXT, Schema, choice, many, maybe, told

_TEXTS = many(TEXT)


def schema_path(name: str, use_case: UseCase, record: Schema) -> Schema:
    """The path that describes one use case."""
    answer = told(
        {
            "use_case": {"const": name},
            "title": TEXT,
            "kind": choice(*get_args(Kind)),
            "task": choice(*get_args(Task)),
            "classes": _TEXTS
            | {"description": "Those of the configuration, else those that production knows."},
            "open_classes": BOOLEAN | {"description": "Whether other labels may be sent too."},
            "separator": maybe(TEXT),
            "metric": TEXT,
            "fields": many(_field()) | {"minItems": len(use_case.record.fields)},
            "example": record,
            "taxonomy": BOOLEAN,
            "chain": maybe(_TEXTS),
            "max_records": INTEGER,
        }
    )
    made = operation(name, f"{name}_schema", "What a record holds", None, answer)
    return {f"/v1/{name}/schema": {"get": made}}


def _field() -> Schema:
    pair: Schema = {"type": ["array", "null"], "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
    return told(
        {
            "name": TEXT,
            "type": choice(*get_args(FieldType)),
            "nullable": BOOLEAN,
            "minimum": maybe(NUMBER),
            "maximum": maybe(NUMBER),
            "categories": _TEXTS,
            "known": _TEXTS | {"description": "Values that production has learned, where any are allowed."},
            "max_length": maybe(INTEGER),
            "shape": pair,
            "range": pair,
        }
    )
