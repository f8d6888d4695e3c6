"""JSON Schemas and OpenAPI objects that every path is put together from, named as the two standards do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]
"""A JSON Schema, or another object of the OpenAPI document."""

STRING: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
BOOLEAN: Schema = {"type": "boolean"}
DATE_TIME: Schema = {"type": "string", "format": "date-time"}
UUID: Schema = {"type": "string", "format": "uuid"}


def object_of(required: Schema, optional: Schema | None = None, description: str | None = None) -> Schema:
    """An object with the properties `required` and, perhaps, `optional`: each name to its schema."""
    schema: Schema = {
        "type": "object",
        "required": list(required),
        "properties": required | (optional or {}),
    }
    return _with_description(schema, description)


def extended(schema: Schema, required: Schema) -> Schema:
    """The same object with more properties: what is optional in it stays so."""
    return schema | {
        "required": [*schema["required"], *required],
        "properties": schema["properties"] | required,
    }


def nullable(schema: Schema) -> Schema:
    """The same schema, or null."""
    if isinstance(schema.get("type"), str) and "enum" not in schema:
        return schema | {"type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def array_of(items: Schema, description: str | None = None) -> Schema:
    """An array whose items all have one schema."""
    return _with_description({"type": "array", "items": items}, description)


def map_of(values: Schema, description: str | None = None) -> Schema:
    """An object with any keys, whose values all have one schema."""
    return _with_description({"type": "object", "additionalProperties": values}, description)


def any_object(description: str) -> Schema:
    """An object with any keys and values."""
    return {"type": "object", "additionalProperties": True, "description": description}


def enum_of(*values: str) -> Schema:
    """One of these strings."""
    return {"type": "string", "enum": list(values)}


def schema_ref(component: str) -> Schema:
    """A reference to a schema below `components`."""
    return {"$ref": f"#/components/schemas/{component}"}


def parameter(
    name: str, place: str, schema: Schema, description: str, *, required: bool = False, **more: Any
) -> Schema:
    """A Parameter Object; `place` is path, query or header, and those in the path are always required."""
    fields = {"name": name, "in": place, "required": required or place == "path", "schema": schema}
    return fields | {"description": description} | more


def header(schema: Schema, description: str) -> Schema:
    """A Header Object of a response."""
    return {"description": description, "schema": schema}


def link(operation_id: str, parameters: Mapping[str, str], description: str) -> Schema:
    """A Link Object: an operation that may follow, with runtime expressions for its parameters."""
    return {"operationId": operation_id, "parameters": dict(parameters), "description": description}


def json_response(description: str, schema: Schema, headers: Mapping[str, Schema] | None = None) -> Schema:
    """A Response Object with a JSON body."""
    return response_of(description, {"application/json": schema}, headers)


def response_of(
    description: str, schemas: Mapping[str, Schema], headers: Mapping[str, Schema] | None = None
) -> Schema:
    """A Response Object; `schemas` maps each media type to the schema of its body."""
    response: Schema = {
        "description": description,
        "content": {media_type: {"schema": schema} for media_type, schema in schemas.items()},
    }
    return response | ({"headers": dict(headers)} if headers else {})


def _with_description(schema: Schema, description: str | None) -> Schema:
    return schema if description is None else schema | {"description": description}
