"""The OpenAPI document of the service, with the record of each use case spelled out."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from configs.schema import UseCase
from service.openapi.control import control_paths, teach_path
from service.openapi.jobs import job_paths
from service.openapi.operations import ERROR, operation
from service.openapi.page import schema_path
from service.openapi.predict import PREDICTION_ID, predict_body, predictions_schema, truth_schema
from service.openapi.recommend import recommend_path
from service.openapi.schemas import Schema, record_schema
from service.openapi.security import secured
from service.openapi.trace import trace_path
from service.openapi.watch import watch_paths


def write_openapi(use_cases: Mapping[str, UseCase]) -> bytes:
    """The document, as JSON."""
    paths: Schema = {}
    schemas: Schema = {"Error": ERROR}
    for name, use_case in use_cases.items():
        schemas[f"{name}_record"] = record_schema(use_case.record)
        paths |= _paths(name, use_case) | control_paths(name) | watch_paths(name)
    paths |= _shared_paths()
    return orjson.dumps(
        secured(
            {
                "openapi": "3.1.0",
                "info": {
                    "title": "Ratchet",
                    "version": "1",
                    "description": "Predictions and feedback for every use case of this server. "
                    "`/predict` is for BentoML's own client; new callers use `/v1`. "
                    "For people there is [a page](/ui).",
                },
                "tags": [
                    *({"name": name, "description": config.title} for name, config in use_cases.items()),
                    {"name": "service", "description": "The service itself"},
                ],
                "paths": paths,
                "components": {"schemas": schemas},
            }
        )
    )


def _paths(name: str, use_case: UseCase) -> Schema:
    record = {"$ref": f"#/components/schemas/{name}_record"}
    body, answer = predict_body(record, use_case), predictions_schema(use_case)
    base = f"/v1/{name}"
    key = {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": "The same key with the same body gets the first answer again.",
    }
    limit = {
        "name": "limit",
        "in": "query",
        "required": False,
        "schema": {"type": "integer", "minimum": 1, "maximum": 1000},
    }
    return {
        f"{base}/predict": {
            "post": operation(
                name,
                f"{name}_predict",
                "Predict",
                body,
                answer,
            )
        },
        f"{base}/feedback": {
            "post": operation(
                name,
                f"{name}_feedback",
                "Send true labels",
                _feedback_body(record, truth_schema(use_case)),
                _counts(),
                [key],
                {"409": "The key came before with another body."},
            )
        },
        **recommend_path(name, use_case, record),
        **teach_path(name, _feedback_body(record, truth_schema(use_case)), _counts(), key),
        **job_paths(name, use_case, body, answer, key),
        **schema_path(name, use_case, record),
        f"{base}/model": {"get": operation(name, f"{name}_model", "What serves", None, {"type": "object"})},
        f"{base}/ledger": {
            "get": operation(
                name, f"{name}_ledger", "What moved production", None, {"type": "object"}, [limit]
            )
        },
    }


def _feedback_body(record: Schema, label: Schema) -> Schema:
    time = {"type": ["string", "null"], "format": "date-time", "description": "When it happened."}
    item = {
        "type": "object",
        "required": ["label"],
        "properties": {"prediction_id": PREDICTION_ID, "record": record, "label": label, "event_time": time},
        "description": "A label with either the prediction that it belongs to, or the record.",
    }
    items = {"type": "array", "items": item, "minItems": 1}
    return {"type": "object", "required": ["items"], "properties": {"items": items}}


def _counts() -> Schema:
    rejected = {
        "type": "object",
        "required": ["index", "reason"],
        "properties": {"index": {"type": "integer"}, "reason": {"type": "string"}},
    }
    number = {"type": "integer"}
    return {
        "type": "object",
        "required": ["accepted", "corrected", "duplicates", "rejected"],
        "properties": {
            "accepted": number,
            "corrected": number,
            "duplicates": number,
            "rejected": {"type": "array", "items": rejected},
        },
    }


def _shared_paths() -> Schema:
    item = {
        "type": "object",
        "required": ["use_case", "record"],
        "properties": {"use_case": {"type": "string"}, "record": {"type": "object"}},
    }
    body = {
        "type": "object",
        "required": ["items"],
        "properties": {"items": {"type": "array", "items": item}},
    }
    answers = {"type": "array", "items": {"type": "object"}}
    text = {"200": {"description": "OK", "content": {"text/plain": {"schema": {"type": "string"}}}}}
    probes = {
        f"/{name}": {"get": {"tags": ["service"], "operationId": name, "summary": summary, "responses": text}}
        for name, summary in (("livez", "Alive"), ("readyz", "Ready"), ("metrics", "Prometheus metrics"))
    }
    return {
        "/predict": {
            "post": operation("service", "predict", "Predict, as BentoML's client calls it", body, answers)
        },
        **trace_path(),
        "/health": {
            "get": operation("service", "health", "Use cases and dependencies", None, {"type": "object"})
        },
        **probes,
    }
