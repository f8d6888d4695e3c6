"""Small schemas that the others are put together from, and the parts of operations that repeat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
BOOLEAN: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "format": "date-time"}
UUID: Schema = {"type": "string", "format": "uuid"}


def told(properties: Schema, optional: Schema | None = None, description: str | None = None) -> Schema:
    """An object that always has `properties`, and sometimes those `optional`."""
    made: Schema = {
        "type": "object",
        "required": list(properties),
        "properties": properties | (optional or {}),
    }
    return made if description is None else made | {"description": description}


def maybe(schema: Schema) -> Schema:
    """The same, or null."""
    if isinstance(schema.get("type"), str) and "enum" not in schema:
        return schema | {"type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def many(schema: Schema, description: str | None = None) -> Schema:
    """A list of these."""
    made: Schema = {"type": "array", "items": schema}
    return made if description is None else made | {"description": description}


def mapping(schema: Schema, description: str | None = None) -> Schema:
    """Names to these."""
    made: Schema = {"type": "object", "additionalProperties": schema}
    return made if description is None else made | {"description": description}


def free(description: str) -> Schema:
    """An object whose keys depend on what it tells of."""
    return {"type": "object", "additionalProperties": True, "description": description}


def choice(*values: str) -> Schema:
    """One of these texts."""
    return {"type": "string", "enum": list(values)}


def parameter(
    name: str, place: str, schema: Schema, description: str, *, required: bool = False, **more: Any
) -> Schema:
    """A parameter in the path, the query or a header."""
    made = {"name": name, "in": place, "required": required or place == "path", "schema": schema}
    return made | {"description": description} | more


def header_of(schema: Schema, description: str) -> Schema:
    """A header of an answer."""
    return {"description": description, "schema": schema}


def link(operation_id: str, parameters: Mapping[str, str], description: str) -> Schema:
    """Where an answer leads: parameters of another operation, as runtime expressions."""
    return {"operationId": operation_id, "parameters": dict(parameters), "description": description}


def described(text: str, answer: Schema, headers: Mapping[str, Schema] | None = None) -> Schema:
    """A response with JSON."""
    return of_type(text, {"application/json": answer}, headers)


def of_type(text: str, content: Mapping[str, Schema], headers: Mapping[str, Schema] | None = None) -> Schema:
    """A response by media type."""
    response: Schema = {
        "description": text,
        "content": {kind: {"schema": schema} for kind, schema in content.items()},
    }
    return response | ({"headers": dict(headers)} if headers else {})
