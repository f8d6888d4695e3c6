"""Asynchronous requests in the OpenAPI document."""

from __future__ import annotations

from configs.schema import UseCase
from service.openapi.operations import described, operation
from service.openapi.schemas import Schema

_LOCATION: Schema = {"description": "Where the answer will be.", "schema": {"type": "string"}}
_RETRY_AFTER: Schema = {"description": "Seconds to wait before asking.", "schema": {"type": "integer"}}
_JOB_ID: Schema = {"name": "job_id", "in": "path", "required": True, "schema": {"type": "string"}}


def job_paths(name: str, use_case: UseCase, body: Schema, predictions: Schema, key: Schema) -> Schema:
    """The two paths of one use case."""
    keep = use_case.serving.jobs_keep_hours
    later = described("Not answered yet.", _state(), {"Location": _LOCATION, "Retry-After": _RETRY_AFTER})
    taken = {"202": later | {"description": "Kept; it will be answered, whatever is restarted meanwhile."}}
    return {
        f"/v1/{name}/predictions": {
            "post": operation(
                name,
                f"{name}_submit",
                "Predict later",
                body,
                None,
                [key],
                {"409": "The key came before with another body."},
                taken,
            )
        },
        f"/v1/{name}/predictions/{{job_id}}": {
            "get": operation(
                name,
                f"{name}_job",
                "The answer of a job",
                None,
                predictions,
                [_JOB_ID],
                {"404": "Unknown use case or job.", "410": f"Answered more than {keep:g} hours ago."},
                {"202": later},
            )
        },
    }


def _state() -> Schema:
    return {
        "type": "object",
        "required": ["job_id", "status", "created_at"],
        "properties": {
            "job_id": {"type": "string", "format": "uuid"},
            "status": {"type": "string", "enum": ["pending", "processing"]},
            "created_at": {"type": "string", "format": "date-time"},
        },
    }
