"""The trace of a prediction in the OpenAPI document."""

from __future__ import annotations

from service.openapi.operations import operation
from service.openapi.pieces import (
    BOOLEAN,
    INTEGER,
    NUMBER,
    TEXT,
    TIME,
    Schema,
    free,
    many,
    mapping,
    maybe,
    parameter,
    told,
)

_ID = parameter("prediction_id", "path", TEXT, "An `id` that predict answered.")
_PREDICTION: Schema = told(
    {
        "id": TEXT,
        "use_case": TEXT,
        "record_id": maybe(TEXT),
        "record": free("As it was sent; an image is the base64 of its levels."),
        "label": maybe(TEXT),
        "score": maybe(NUMBER),
        "scores": maybe(mapping(NUMBER)),
        "model_version": maybe(INTEGER),
        "source": maybe(TEXT),
        "predicted_at": TIME,
    }
)
_LABEL: Schema = told(
    {
        "label": TEXT,
        "correct": BOOLEAN,
        "received_at": TIME,
        "event_time": maybe(TIME),
        "source": maybe(TEXT),
        "seq": INTEGER,
    }
)
_MODEL: Schema = told(
    {
        "name": TEXT,
        "version": maybe(INTEGER),
        "run_id": maybe(TEXT),
        "lineage": mapping(TEXT),
        "metrics": mapping(NUMBER),
    },
    {"problem": TEXT},
)
_RUN: Schema = told(
    {
        "id": TEXT,
        "kind": TEXT,
        "status": TEXT,
        "trigger": TEXT,
        "requested_at": TIME,
        "started_at": maybe(TIME),
        "finished_at": maybe(TIME),
    }
)
_SNAPSHOT: Schema = told(
    {"digest": TEXT},
    {
        "use_case": TEXT,
        "rows": INTEGER,
        "train_rows": INTEGER,
        "holdout_rows": INTEGER,
        "first_seq": INTEGER,
        "last_seq": INTEGER,
        "created_at": TIME,
    },
)
_VERDICT: Schema = told(
    {
        "id": INTEGER,
        "event": TEXT,
        "at": TIME,
        "actor": TEXT,
        "reason": TEXT,
        "evidence": free("The numbers of the decision."),
    }
)


def trace_path() -> Schema:
    """The path of traces, which no use case has to be known for."""
    answer = told(
        {
            "prediction": _PREDICTION,
            "label": maybe(_LABEL),
            "model": _MODEL,
            "run": maybe(_RUN),
            "snapshot": maybe(_SNAPSHOT),
            "verdict": maybe(_VERDICT),
            "ledger": many(INTEGER),
        }
    )
    missing = {"404": "No prediction of this id is known."}
    made = operation("service", "trace", "Where a prediction comes from", None, answer, [_ID], missing)
    return {"/v1/trace/{prediction_id}": {"get": made}}
