"""Asynchronous requests in the OpenAPI document."""

from __future__ import annotations

from configs.schema import UseCase
from service.openapi.operations import described, operation
from service.openapi.pieces import INTEGER, TEXT, TIME, UUID, Schema, choice, header_of, link, parameter, told

_LATER: Schema = {
    "Location": header_of(TEXT, "Where the answer will be."),
    "Retry-After": header_of(INTEGER, "Seconds to wait before asking."),
}
_JOB_ID = parameter("job_id", "path", TEXT, "As it was answered.")
_STATE = told({"job_id": UUID, "status": choice("pending", "processing"), "created_at": TIME})


def job_paths(
    name: str, use_case: UseCase, body: Schema, predictions: Schema, key: Schema, example: object
) -> Schema:
    """The two paths of one use case."""
    keep = use_case.serving.jobs_keep_hours
    later = described("Not answered yet.", _STATE, _LATER)
    taken = {"202": later | {"description": "Kept; it will be answered, whatever is restarted meanwhile."}}
    told_id = {"job_id": "$response.body#/job_id"}
    taken["202"]["links"] = {"answer": link(f"{name}_job", told_id, "Ask for the answer.")}
    submit = operation(
        name,
        f"{name}_submit",
        "Predict later",
        body,
        None,
        [key],
        {"409": "The key came before with another body."},
        taken,
        example=example,
    )
    answers = operation(
        name,
        f"{name}_job",
        "The answer of a job",
        None,
        predictions,
        [_JOB_ID],
        {
            "404": "Unknown use case or job.",
            "410": f"Answered more than {keep:g} hours ago.",
            "422": "The version that serves now refuses a record.",
        },
        {"202": later},
    )
    base = f"/v1/{name}/predictions"
    return {base: {"post": submit}, f"{base}/{{job_id}}": {"get": answers}}
