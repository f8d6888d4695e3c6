"""What a use case looks like to clients of the Open Inference Protocol: one tensor a field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from configs.schema import FieldConfig, RecordConfig
from service.answers.record_types import BYTES as WHOLE_LEVELS
from service.protocols.tensors import BYTES, NUMBERS

OUTPUTS = {"label": BYTES, "score": "FP64", "scores": "FP64", "classes": BYTES, "id": BYTES}
"""Name to datatype. `classes` names the columns of `scores`; `id` is what true labels are sent for."""
PLATFORM = "ratchet"
_NUMERIC = tuple(name for name in NUMBERS if name != "BOOL")


def datatype_of(field: FieldConfig) -> str:
    """The datatype that is told to clients."""
    if field.type == "number":
        return "FP64"
    if field.type == "integer":  # only fractions can say that a value is missing
        return "FP64" if field.nullable else "INT64"
    if field.type == "boolean":
        return "BOOL"
    if field.type == "image":
        return "UINT8" if field.range == WHOLE_LEVELS else "FP32"
    return BYTES


def datatypes_allowed(field: FieldConfig) -> Sequence[str]:
    """All datatypes that are read, the one told to clients among them."""
    if field.type in ("number", "integer", "image"):
        return _NUMERIC
    return ("BOOL",) if field.type == "boolean" else (BYTES,)


def describe_inputs(record: RecordConfig) -> list[dict[str, Any]]:
    """One tensor a field, for the metadata; -1 is the number of records."""
    return [
        {"name": field.name, "datatype": datatype_of(field), "shape": [-1, *(field.shape or ())]}
        for field in record.fields
    ]


def describe_outputs(classes: int | None) -> list[dict[str, Any]]:
    """The outputs, for the metadata; without `classes` their number is not known yet."""
    many = -1 if classes is None else classes
    shapes = {"scores": [-1, many], "classes": [many]}
    return [
        {"name": name, "datatype": datatype, "shape": shapes.get(name, [-1])}
        for name, datatype in OUTPUTS.items()
    ]
