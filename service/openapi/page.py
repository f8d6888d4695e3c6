"""The description of a use case's record in the OpenAPI document."""

from __future__ import annotations

from typing import get_args

from configs.schema import FieldType, Kind, Task, UseCase
from service.openapi.operations import operation
from service.openapi.schemas import Schema

_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_MAYBE_NUMBER: Schema = {"type": ["number", "null"]}


def schema_path(name: str, use_case: UseCase, record: Schema) -> Schema:
    """The path that describes one use case."""
    answer = _object(
        {
            "use_case": {"const": name},
            "title": _TEXT,
            "kind": {"enum": list(get_args(Kind))},
            "task": {"enum": list(get_args(Task))},
            "classes": _TEXTS
            | {"description": "Those of the configuration, else those that production knows."},
            "open_classes": {"type": "boolean", "description": "Whether other labels may be sent too."},
            "separator": {"type": ["string", "null"]},
            "metric": _TEXT,
            "fields": {"type": "array", "items": _field(), "minItems": len(use_case.record.fields)},
            "example": record,
            "taxonomy": {"type": "boolean"},
            "chain": {"type": ["array", "null"], "items": _TEXT},
            "max_records": {"type": "integer"},
        }
    )
    made = operation(name, f"{name}_schema", "What a record holds", None, answer)
    return {f"/v1/{name}/schema": {"get": made}}


def _field() -> Schema:
    pair: Schema = {"type": ["array", "null"], "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
    return _object(
        {
            "name": _TEXT,
            "type": {"enum": list(get_args(FieldType))},
            "nullable": {"type": "boolean"},
            "minimum": _MAYBE_NUMBER,
            "maximum": _MAYBE_NUMBER,
            "categories": _TEXTS,
            "known": _TEXTS | {"description": "Values that production has learned, where any are allowed."},
            "max_length": {"type": ["integer", "null"]},
            "shape": pair,
            "range": pair,
        }
    )


def _object(properties: Schema) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties}
