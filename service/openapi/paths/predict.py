"""Labels, requests and answers of predictions in the OpenAPI document."""

from __future__ import annotations

from typing import Any

import orjson

from configs.schema import UseCase
from features.records.example import example_record
from features.records.labels import MAX_LENGTH
from service.openapi.pieces import INTEGER, NUMBER, TEXT, UUID, Schema, many, mapping, maybe, told
from service.openapi.schemas import RECORD_ID, STORABLE

PREDICTION_ID: Schema = UUID | {"description": "Send it back with the true label."}


def truth_schema(use_case: UseCase) -> Schema:
    """The true label of a record, as callers send it; where there may be many, a list or joined text."""
    target = use_case.target
    classes = list(target.classes)
    bounds = {"minLength": 1, "maxLength": MAX_LENGTH, "pattern": STORABLE}
    label: Schema = {"type": "string", "enum": classes} if classes else TEXT | bounds
    if target.task != "multilabel":
        return label
    joined = {"type": "string", "description": f"Labels with '{target.separator}' between them."}
    return {"anyOf": [{"type": "array", "items": label, "minItems": 1}, joined]}


def truth_example(use_case: UseCase) -> str | list[str]:
    """A label as callers send it."""
    label = (use_case.target.classes or ("a_label",))[0]
    return [label] if use_case.target.task == "multilabel" else label


def record_example(use_case: UseCase) -> dict[str, Any]:
    """A record as callers send it."""
    record: dict[str, Any] = orjson.loads(orjson.dumps(example_record(use_case.record)))
    return record


def predict_body(record: Schema, use_case: UseCase) -> Schema:
    """What predict takes."""
    most = use_case.serving.max_records
    truth = many(truth_schema(use_case), "Known truth, one a record; stored as feedback.")
    labels = maybe(truth | {"minItems": 1, "maxItems": most})
    return told({"records": many(record) | {"minItems": 1, "maxItems": most}}, {"labels": labels})


def predictions_schema(use_case: UseCase, more: Schema | None = None) -> Schema:
    """What predict answers; `more` is what each prediction has besides."""
    return told({"predictions": many(prediction_schema(use_case, more)), "model": answering_schema(use_case)})


def answering_schema(use_case: UseCase) -> Schema:
    """Who answered a request."""
    if use_case.chain is None:
        return told({"name": TEXT, "version": INTEGER, "source": TEXT})
    return told(
        {
            "name": TEXT,
            "version": maybe(INTEGER) | {"description": "Null while no version serves."},
            "source": TEXT | {"description": "The link that answered; `mixed` where several did."},
        }
    )


def prediction_schema(use_case: UseCase, more: Schema | None = None) -> Schema:
    """One prediction."""
    properties: Schema = {"id": PREDICTION_ID} | answer_schema(use_case)
    properties |= {"score": NUMBER, "scores": mapping(NUMBER, "Class to probability.")}
    if use_case.chain is not None:
        properties["source"] = source_schema(use_case)
    return told(properties | (more or {}), {"record_id": RECORD_ID})


def source_schema(use_case: UseCase) -> Schema:
    """Which link of a chain answered a record."""
    links = [link.name for link in use_case.chain.links] if use_case.chain is not None else []
    description = "The link that answered; `none` where none was confident enough."
    return {"type": "string", "enum": [*links, "none"], "description": description}


def answer_schema(use_case: UseCase) -> Schema:
    """What is answered of a record: its label or labels."""
    classes = list(use_case.target.classes)
    # Links of a chain may give labels that production does not know.
    label = TEXT | ({"enum": classes} if classes and use_case.chain is None else {})
    if use_case.target.task == "multilabel":
        return {"labels": many(label, "The surest first.")}
    return {"label": label}
