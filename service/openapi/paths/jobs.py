"""POST /v1/{use_case}/predictions and GET the answer of such a job, in the OpenAPI document."""

from __future__ import annotations

from configs.schema import UseCase
from service.openapi.operations import operation
from service.openapi.schema_parts import (
    DATE_TIME,
    INTEGER,
    STRING,
    UUID,
    Schema,
    enum_of,
    header,
    json_response,
    link,
    object_of,
    parameter,
)

_PENDING_HEADERS: Schema = {
    "Location": header(STRING, "Where the answer will be."),
    "Retry-After": header(INTEGER, "Seconds to wait before asking."),
}
_JOB_ID = parameter("job_id", "path", STRING, "As it was answered.")
_STATE = object_of({"job_id": UUID, "status": enum_of("pending", "processing"), "created_at": DATE_TIME})


def job_paths(
    name: str, use_case: UseCase, body: Schema, predictions: Schema, key: Schema, example: object
) -> Schema:
    """Path to operations, of one use case; `body` and `predictions` are the schemas of predict."""
    keep = use_case.serving.jobs_keep_hours
    pending = json_response("Not answered yet.", _STATE, _PENDING_HEADERS)
    submitted = pending | {"description": "Kept; it will be answered, whatever is restarted meanwhile."}
    job_id = {"job_id": "$response.body#/job_id"}
    submitted["links"] = {"answer": link(f"{name}_job", job_id, "Ask for the answer.")}
    submit = operation(
        name,
        f"{name}_submit",
        "Predict later",
        body=body,
        parameters=[key],
        more_errors={"409": "The key came before with another body."},
        more_responses={"202": submitted},
        example=example,
    )
    find = operation(
        name,
        f"{name}_job",
        "The answer of a job",
        response=predictions,
        parameters=[_JOB_ID],
        more_errors={
            "404": "Unknown use case or job.",
            "410": f"Answered more than {keep:g} hours ago.",
            "422": "The version that serves now refuses a record.",
        },
        more_responses={"202": pending},
    )
    base = f"/v1/{name}/predictions"
    return {base: {"post": submit}, f"{base}/{{job_id}}": {"get": find}}
