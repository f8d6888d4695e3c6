"""Labels, requests and answers of predictions in the OpenAPI document."""

from __future__ import annotations

from configs.schema import UseCase
from service.openapi.schemas import Schema

PREDICTION_ID: Schema = {
    "type": "string",
    "format": "uuid",
    "description": "Send it back with the true label.",
}


def truth_schema(use_case: UseCase) -> Schema:
    """The true label of a record, as callers send it; where there may be many, a list or joined text."""
    target = use_case.target
    classes = list(target.classes)
    label: Schema = {"type": "string", "enum": classes} if classes else {"type": "string"}
    if target.task != "multilabel":
        return label
    joined = {"type": "string", "description": f"Labels with '{target.separator}' between them."}
    return {"anyOf": [{"type": "array", "items": label, "minItems": 1}, joined]}


def predict_body(record: Schema, use_case: UseCase) -> Schema:
    """What predict takes."""
    most = use_case.serving.max_records
    return {
        "type": "object",
        "required": ["records"],
        "properties": {
            "records": {"type": "array", "items": record, "minItems": 1, "maxItems": most},
            "labels": {
                "type": ["array", "null"],
                "items": truth_schema(use_case),
                "description": "Known truth, one a record; stored as feedback.",
            },
        },
    }


def predictions_schema(use_case: UseCase, more: Schema | None = None) -> Schema:
    """What predict answers; `more` is what each prediction has besides."""
    chained = use_case.chain is not None
    version: Schema = {"type": "integer"}
    if chained:
        version = {"type": ["integer", "null"], "description": "Null while no version serves."}
    source: Schema = {"type": "string"}
    if chained:
        source["description"] = "The link that answered; `mixed` where several did."
    model = _object({"name": {"type": "string"}, "version": version, "source": source})
    predictions = {"type": "array", "items": prediction_schema(use_case, more)}
    return _object({"predictions": predictions, "model": model})


def prediction_schema(use_case: UseCase, more: Schema | None = None) -> Schema:
    """One prediction."""
    properties: Schema = {"id": PREDICTION_ID} | answer_schema(use_case)
    properties |= {
        "score": {"type": "number"},
        "scores": {"type": "object", "additionalProperties": {"type": "number"}},
    }
    if use_case.chain is not None:
        links = [link.name for link in use_case.chain.links]
        description = "The link that answered; `none` where none was confident enough."
        properties["source"] = {"type": "string", "enum": [*links, "none"], "description": description}
    made = _object(properties | (more or {}))
    made["properties"] = made["properties"] | {"record_id": {"type": ["string", "integer"]}}
    return made


def answer_schema(use_case: UseCase) -> Schema:
    """What is answered of a record: its label or labels."""
    classes = list(use_case.target.classes)
    # Links of a chain may give labels that production does not know.
    label: Schema = {"enum": classes} if classes and use_case.chain is None else {}
    label |= {"type": "string"}
    if use_case.target.task == "multilabel":
        return {"labels": {"type": "array", "items": label, "description": "The surest first."}}
    return {"label": label}


def _object(properties: Schema) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties}
