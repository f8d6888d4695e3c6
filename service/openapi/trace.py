"""The trace of a prediction in the OpenAPI document."""

from __future__ import annotations

from service.openapi.operations import operation
from service.openapi.schemas import Schema

_ID: Schema = {"name": "prediction_id", "in": "path", "required": True, "schema": {"type": "string"}}


def trace_path() -> Schema:
    """The path of traces, which no use case has to be known for."""
    answer = {
        "type": "object",
        "required": ["prediction", "label", "model", "run", "snapshot", "verdict", "ledger"],
        "properties": {
            "prediction": _object("id", "use_case", "record", "label", "score", "scores", "predicted_at"),
            "label": _maybe("label", "correct", "received_at", "seq"),
            "model": _object("name", "version", "run_id", "lineage", "metrics"),
            "run": _maybe("id", "kind", "status", "trigger"),
            "snapshot": _maybe("digest"),
            "verdict": _maybe("event", "at", "actor", "reason", "evidence"),
            "ledger": {"type": "array", "items": {"type": "integer"}},
        },
    }
    missing = {"404": "No prediction of this id is known."}
    return {
        "/v1/trace/{prediction_id}": {
            "get": operation(
                "service", "trace", "Where a prediction comes from", None, answer, [_ID], missing
            )
        }
    }


def _object(*required: str) -> Schema:
    return {"type": "object", "required": list(required)}


def _maybe(*required: str) -> Schema:
    return {"type": ["object", "null"], "required": list(required)}
