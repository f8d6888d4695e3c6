"""JSON Schema of a record, for the OpenAPI document."""

from __future__ import annotations

import math

from configs.schema import FieldConfig, RecordConfig
from features.records.ids import MAX_ID
from features.records.scalars.numbers import LARGEST_INTEGER
from features.records.spellings import LARGEST_ID, SMALLEST_ID
from service.openapi.schema_parts import Schema, nullable

__all__ = ["NO_NUL", "RECORD_ID", "Schema", "field_schema", "record_schema"]

NO_NUL = "^[^\\x00]*$"
"""Pattern of the strings that the database can hold."""
RECORD_ID: Schema = {
    "anyOf": [
        {"type": "string", "maxLength": MAX_ID, "description": "Printable characters."},
        {"type": "integer", "minimum": SMALLEST_ID, "maximum": LARGEST_ID},
    ]
}


def record_schema(record: RecordConfig, *, refuse_unknown: bool = False) -> Schema:
    """JSON Schema of one record: its fields by name, and its `id`; others where they are not refused."""
    required = [field.name for field in record.fields if not field.nullable]
    own_id = nullable(RECORD_ID) | {"description": "Comes back as `record_id`."}
    properties = {field.name: field_schema(field) for field in record.fields} | group_schema(record)
    schema: Schema = {"type": "object", "required": required, "properties": properties | {"id": own_id}}
    if refuse_unknown:
        schema["additionalProperties"] = False
        beside = (record.id_column, record.time_column)
        properties |= {name: {} for name in beside if name is not None and name not in properties}
        schema["properties"] = properties | {"id": own_id}
    return schema


def group_schema(record: RecordConfig) -> Schema:
    """The key that says what records are grouped by, as a property; none where a field does, or nothing."""
    if record.group_key is None:
        return {}
    about = "Records with the same value are learned from or held out together."
    return {record.group_key: nullable(RECORD_ID) | {"description": about}}


def field_schema(field: FieldConfig) -> Schema:
    """JSON Schema of one field's value; null too where the field is nullable."""
    schema = _value_schema(field)
    return {"anyOf": [schema, {"type": "null"}]} if field.nullable else schema


def _value_schema(field: FieldConfig) -> Schema:
    if field.type == "integer":
        low = -LARGEST_INTEGER if field.minimum is None else max(field.minimum, -LARGEST_INTEGER)
        high = LARGEST_INTEGER if field.maximum is None else min(field.maximum, LARGEST_INTEGER)
        return {"type": "integer", "minimum": low, "maximum": high}
    if field.type == "number":
        bounds = {"minimum": field.minimum, "maximum": field.maximum}
        return {"type": "number"} | {key: value for key, value in bounds.items() if value is not None}
    if field.type == "boolean":
        return {"type": "boolean"}
    if field.type == "category" and field.categories:
        return {"type": "string", "enum": list(field.categories)}
    if field.type == "datetime":
        return {"type": "string", "format": "date-time"}
    if field.type == "image":
        return _image_schema(field)
    return {"type": "string", "maxLength": field.max_length, "pattern": NO_NUL}


def _image_schema(field: FieldConfig) -> Schema:
    assert field.shape is not None
    low, high = field.range
    pixel: Schema = {"type": "number", "minimum": low, "maximum": high}

    def row(items: Schema, count: int) -> Schema:
        return {"type": "array", "items": items, "minItems": count, "maxItems": count}

    nested = pixel
    for count in reversed(field.shape):
        nested = row(nested, count)
    return {"anyOf": [nested, row(pixel, math.prod(field.shape)), *_picture_schemas(field)]}


def _picture_schemas(field: FieldConfig) -> list[Schema]:
    """A schema for each kind of picture file that the field takes."""
    height, width, *channels = field.shape or ()
    grey_png = not channels and field.resize is None
    size = (
        f"of {width}x{height} pixels" if field.resize is None else f"of any size, resized to {width}x{height}"
    )
    return [
        {
            "type": "string",
            "contentMediaType": f"image/{kind}",
            "contentEncoding": "base64",
            "format": f"{kind}-{height}x{width}",
            "description": f"A {kind.upper()} {size}; `data:image/{kind};base64,` may stand before it.",
        }
        for kind in (("png",) if grey_png else ("png", "jpeg"))
    ]
