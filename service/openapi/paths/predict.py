"""Schemas of predict: its request, its response, labels and examples; other paths share them."""

from __future__ import annotations

from typing import Any

import orjson

from configs.schema import UseCase
from features.records.example import example_record
from features.records.labels import MAX_LENGTH
from service.openapi.schema_parts import (
    INTEGER,
    NUMBER,
    STRING,
    UUID,
    Schema,
    array_of,
    map_of,
    nullable,
    object_of,
)
from service.openapi.schemas import NO_NUL, RECORD_ID

AUDIT: Schema = {"const": True, "description": "Drawn by chance: send the true label of this one above all."}
PREDICTION_ID: Schema = UUID | {"description": "Send it back with the true label."}


def truth_schema(use_case: UseCase) -> Schema:
    """Schema of the true label in a request; where there may be many, an array or one joined string."""
    target = use_case.target
    classes = list(target.classes)
    bounds = {"minLength": 1, "maxLength": MAX_LENGTH, "pattern": NO_NUL}
    label: Schema = {"type": "string", "enum": classes} if classes else STRING | bounds
    if target.task != "multilabel":
        return label
    joined = {"type": "string", "description": f"Labels with '{target.separator}' between them."}
    return {"anyOf": [{"type": "array", "items": label, "minItems": 1}, joined]}


def truth_example(use_case: UseCase) -> str | list[str]:
    """A true label that `truth_schema` allows."""
    label = (use_case.target.classes or ("a_label",))[0]
    return [label] if use_case.target.task == "multilabel" else label


def record_example(use_case: UseCase) -> dict[str, Any]:
    """A record that the record schema allows, as JSON values."""
    record: dict[str, Any] = orjson.loads(orjson.dumps(example_record(use_case.record)))
    return record


def predict_body(record: Schema, use_case: UseCase) -> Schema:
    """Schema of the body of a predict request; `record` is the schema of one record."""
    max_records = use_case.serving.max_records
    truth = array_of(truth_schema(use_case), "Known truth, one a record; stored as feedback.")
    labels = nullable(truth | {"minItems": 1, "maxItems": max_records})
    return object_of(
        {"records": array_of(record) | {"minItems": 1, "maxItems": max_records}}, {"labels": labels}
    )


def predictions_schema(use_case: UseCase, extra: Schema | None = None) -> Schema:
    """Schema of the response of predict; `extra` are further properties of each prediction."""
    return object_of(
        {"predictions": array_of(prediction_schema(use_case, extra)), "model": model_schema(use_case)}
    )


def model_schema(use_case: UseCase) -> Schema:
    """Schema of `model` in a response: the version, or the link of a chain, that answered."""
    if use_case.chain is None:
        return object_of({"name": STRING, "version": INTEGER, "source": STRING})
    return object_of(
        {
            "name": STRING,
            "version": nullable(INTEGER) | {"description": "Null while no version serves."},
            "source": STRING | {"description": "The link that answered; `mixed` where several did."},
        }
    )


def prediction_schema(use_case: UseCase, extra: Schema | None = None) -> Schema:
    """Schema of one prediction; `extra` are further properties."""
    properties: Schema = {"id": PREDICTION_ID} | label_properties(use_case)
    properties |= {"score": NUMBER, "scores": map_of(NUMBER, "Class to probability.")}
    if use_case.chain is not None:
        properties["source"] = source_schema(use_case)
    return object_of(properties | (extra or {}), {"record_id": RECORD_ID, "audit": AUDIT})


def source_schema(use_case: UseCase) -> Schema:
    """Schema of `source`: which link of a chain answered a record."""
    links = [link.name for link in use_case.chain.links] if use_case.chain is not None else []
    description = "The link that answered; `none` where none was confident enough."
    return {"type": "string", "enum": [*links, "none"], "description": description}


def label_properties(use_case: UseCase) -> Schema:
    """What was predicted of a record, as a property: `label`, or `labels` where there may be many."""
    classes = list(use_case.target.classes)
    # Links of a chain may give labels that production does not know.
    label = STRING | ({"enum": classes} if classes and use_case.chain is None else {})
    if use_case.target.task == "multilabel":
        return {"labels": array_of(label, "The surest first.")}
    return {"label": label}
