"""GET /v1/{use_case}/schema in the OpenAPI document."""

from __future__ import annotations

from typing import get_args

from configs.schema import FieldType, Kind, Task, UseCase
from service.openapi.operations import operation
from service.openapi.schema_parts import (
    BOOLEAN,
    INTEGER,
    NUMBER,
    STRING,
    Schema,
    array_of,
    enum_of,
    nullable,
    object_of,
)

_TEXTS = array_of(STRING)


def schema_path(name: str, use_case: UseCase, record: Schema) -> Schema:
    """Path to operation, of one use case; `record` is the schema of its records."""
    response = object_of(
        {
            "use_case": {"const": name},
            "title": STRING,
            "kind": enum_of(*get_args(Kind)),
            "task": enum_of(*get_args(Task)),
            "classes": _TEXTS
            | {"description": "Those of the configuration, else those that production knows."},
            "open_classes": BOOLEAN | {"description": "Whether other labels may be sent too."},
            "separator": nullable(STRING),
            "metric": STRING,
            "fields": array_of(_field()) | {"minItems": len(use_case.record.fields)},
            "example": record,
            "taxonomy": BOOLEAN,
            "chain": nullable(_TEXTS),
            "max_records": INTEGER,
        }
    )
    get = operation(name, f"{name}_schema", "What a record holds", response=response)
    return {f"/v1/{name}/schema": {"get": get}}


def _field() -> Schema:
    pair: Schema = {"type": ["array", "null"], "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
    return object_of(
        {
            "name": STRING,
            "title": STRING
            | {"description": "For people: the name, or the column's where that has letters of its own."},
            "type": enum_of(*get_args(FieldType)),
            "nullable": BOOLEAN,
            "minimum": nullable(NUMBER),
            "maximum": nullable(NUMBER),
            "categories": _TEXTS
            | {"description": "As configured; production refuses those that came after it was made."},
            "known": _TEXTS | {"description": "Values that production has learned, where any are allowed."},
            "max_length": nullable(INTEGER),
            "shape": pair,
            "range": pair,
        }
    )
