"""The inputs and outputs of a use case in the Open Inference Protocol: one input tensor for each field."""

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
    """The datatype that the metadata names."""
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
    """All datatypes that are read; that of the metadata is one of them."""
    if field.type in ("number", "integer", "image"):
        return _NUMERIC
    return ("BOOL",) if field.type == "boolean" else (BYTES,)


def describe_inputs(record: RecordConfig) -> list[dict[str, Any]]:
    """The inputs for the metadata, one a field and one that groups records; -1 is the number of records."""
    inputs = [
        {"name": field.name, "datatype": datatype_of(field), "shape": [-1, *(field.shape or ())]}
        for field in record.fields
    ]
    key = record.group_key
    return inputs if key is None else [*inputs, {"name": key, "datatype": BYTES, "shape": [-1]}]


def describe_outputs(classes: int | None) -> list[dict[str, Any]]:
    """The outputs for the metadata; `classes` is the number of classes, None where no version serves yet."""
    class_count = -1 if classes is None else classes
    shapes = {"scores": [-1, class_count], "classes": [class_count]}
    return [
        {"name": name, "datatype": datatype, "shape": shapes.get(name, [-1])}
        for name, datatype in OUTPUTS.items()
    ]
