"""GET /v1/trace/{prediction_id} in the OpenAPI document."""

from __future__ import annotations

from service.openapi.operations import operation
from service.openapi.paths.reports import RUN_ROWS
from service.openapi.schema_parts import (
    BOOLEAN,
    DATE_TIME,
    INTEGER,
    NUMBER,
    STRING,
    Schema,
    any_object,
    array_of,
    map_of,
    nullable,
    object_of,
    parameter,
)

_ID = parameter("prediction_id", "path", STRING, "An `id` that predict answered.")
_PREDICTION: Schema = object_of(
    {
        "id": STRING,
        "use_case": STRING,
        "record_id": nullable(STRING),
        "record": any_object("As it was sent; an image is the base64 of its levels."),
        "label": nullable(STRING),
        "score": nullable(NUMBER),
        "scores": nullable(map_of(NUMBER)),
        "model_version": nullable(INTEGER),
        "source": nullable(STRING),
        "predicted_at": DATE_TIME,
    }
)
_LABEL: Schema = object_of(
    {
        "label": STRING,
        "correct": BOOLEAN,
        "received_at": DATE_TIME,
        "event_time": nullable(DATE_TIME),
        "source": nullable(STRING),
        "seq": INTEGER,
    }
)
_LABEL_TAKEN_BACK: Schema = object_of(
    {"label": STRING, "taken_back_at": DATE_TIME, "actor": STRING, "reason": STRING}
)
_MODEL: Schema = object_of(
    {
        "name": STRING,
        "version": nullable(INTEGER),
        "run_id": nullable(STRING),
        "lineage": map_of(STRING),
        "metrics": map_of(NUMBER),
    },
    {"problem": STRING},
)
_RUN: Schema = object_of(
    {
        "id": STRING,
        "kind": STRING,
        "status": STRING,
        "trigger": STRING,
        "requested_at": DATE_TIME,
        "started_at": nullable(DATE_TIME),
        "finished_at": nullable(DATE_TIME),
        "rows": RUN_ROWS,
    }
)
_SNAPSHOT: Schema = object_of(
    {"digest": STRING},
    {
        "use_case": STRING,
        "rows": INTEGER,
        "train_rows": INTEGER,
        "holdout_rows": INTEGER,
        "first_seq": INTEGER,
        "last_seq": INTEGER,
        "created_at": DATE_TIME,
        "taken_back": object_of(
            {
                "since_previous": nullable(INTEGER),
                "learned": nullable(INTEGER),
                "held_out": nullable(INTEGER),
            },
            description="Labels of the snapshot before that are not in this one, and of this one since.",
        ),
    },
)
_VERDICT: Schema = object_of(
    {
        "id": INTEGER,
        "event": STRING,
        "at": DATE_TIME,
        "actor": STRING,
        "reason": STRING,
        "evidence": any_object("The numbers of the decision."),
    }
)


def trace_path() -> Schema:
    """Path to operation; a trace is found by the id of its prediction alone, without a use case."""
    response = object_of(
        {
            "prediction": _PREDICTION,
            "label": nullable(_LABEL),
            "label_taken_back": nullable(_LABEL_TAKEN_BACK),
            "model": _MODEL,
            "run": nullable(_RUN),
            "snapshot": nullable(_SNAPSHOT),
            "verdict": nullable(_VERDICT),
            "ledger": array_of(INTEGER),
        }
    )
    trace = operation(
        "service",
        "trace",
        "Where a prediction comes from",
        response=response,
        parameters=[_ID],
        more_errors={"404": "No prediction of this id is known."},
    )
    return {"/v1/trace/{prediction_id}": {"get": trace}}
