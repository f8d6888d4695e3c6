"""The OpenAPI document of the service, which GET /docs.json answers: paths and record of each use case."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from configs.schema import UseCase
from service.openapi.operations import ERROR, PLAIN_ERROR, operation
from service.openapi.paths.control import control_paths, train_path
from service.openapi.paths.inference import ERROR as INFERENCE_ERROR
from service.openapi.paths.inference import TAG as INFERENCE_TAG
from service.openapi.paths.inference import inference_paths
from service.openapi.paths.jobs import job_paths
from service.openapi.paths.labels import label_paths
from service.openapi.paths.predict import (
    PREDICTION_ID,
    predict_body,
    predictions_schema,
    record_example,
    truth_example,
    truth_schema,
)
from service.openapi.paths.quarantine import quarantine_paths
from service.openapi.paths.recommend import recommend_path
from service.openapi.paths.replays import replay_paths
from service.openapi.paths.reports import report_paths
from service.openapi.paths.schema import schema_path
from service.openapi.paths.scoring import scoring_paths
from service.openapi.paths.state import service_paths, state_paths
from service.openapi.paths.trace import trace_path
from service.openapi.schema_parts import (
    DATE_TIME,
    INTEGER,
    STRING,
    Schema,
    any_object,
    array_of,
    link,
    nullable,
    object_of,
    parameter,
    schema_ref,
)
from service.openapi.schemas import group_schema, record_schema
from service.openapi.security import add_security
from service.storage.idempotency import MAX_KEY

DESCRIPTION = (
    "Predictions and feedback for every use case of this server. `/predict` is for BentoML's own client, "
    "`/v1/{use_case}/invocations` for MLflow's and `/v2` for those of the Open Inference Protocol. "
    "For people there is [a page](/ui)."
)


def write_openapi(use_cases: Mapping[str, UseCase]) -> bytes:
    """The OpenAPI 3.1 document of a server with these use cases, by name, as JSON."""
    paths: Schema = {}
    schemas: Schema = {"Error": ERROR, INFERENCE_ERROR: PLAIN_ERROR}
    for name, use_case in use_cases.items():
        schemas[f"{name}_record"] = record_schema(
            use_case.record, refuse_unknown=use_case.serving.unknown_fields == "refuse"
        )
        paths |= _paths(name, use_case) | state_paths(name, use_case)
        paths |= control_paths(name) | report_paths(name) | quarantine_paths(name)
        paths |= replay_paths(name) | label_paths(name)
    paths |= _bentoml_path() | trace_path() | scoring_paths(use_cases) | inference_paths(use_cases)
    paths |= service_paths()
    return orjson.dumps(
        add_security(
            {
                "openapi": "3.1.0",
                "info": {"title": "Ratchet", "version": "1", "description": DESCRIPTION},
                "tags": [
                    *({"name": name, "description": config.title} for name, config in use_cases.items()),
                    {"name": INFERENCE_TAG, "description": "The Open Inference Protocol"},
                    {"name": "service", "description": "The service itself"},
                ],
                "paths": paths,
                "components": {"schemas": schemas},
            }
        )
    )


def _paths(name: str, use_case: UseCase) -> Schema:
    """Path to operations: those that take records or labels of one use case, and the schema of its record."""
    record = schema_ref(f"{name}_record")
    body, predictions = predict_body(record, use_case), predictions_schema(use_case)
    feedback = _feedback_body(record, truth_schema(use_case), group_schema(use_case.record))
    record_body = {"records": [record_example(use_case)]}
    label_body = {"items": [{"record": record_example(use_case), "label": truth_example(use_case)}]}
    return {
        f"/v1/{name}/predict": {"post": _predict(name, body, predictions, record_body)},
        f"/v1/{name}/feedback": {"post": _feedback(name, feedback, label_body)},
        **recommend_path(name, use_case, record, record_body),
        **train_path(name, feedback, _COUNTS, _IDEMPOTENCY_KEY, label_body),
        **job_paths(name, use_case, body, predictions, _IDEMPOTENCY_KEY, record_body),
        **schema_path(name, use_case, record),
    }


_IDEMPOTENCY_KEY = parameter(
    "Idempotency-Key",
    "header",
    STRING | {"minLength": 1, "maxLength": MAX_KEY},
    "The same key with the same body gets the first answer again.",
)


def _predict(name: str, body: Schema, predictions: Schema, example: object) -> Schema:
    predict = operation(name, f"{name}_predict", "Predict", body=body, response=predictions, example=example)
    first_id = {"prediction_id": "$response.body#/predictions/0/id"}
    predict["responses"]["200"]["links"] = {"trace": link("trace", first_id, "Where it comes from.")}
    return predict


def _feedback(name: str, body: Schema, example: object) -> Schema:
    return operation(
        name,
        f"{name}_feedback",
        "Send true labels",
        body=body,
        response=_COUNTS,
        parameters=[_IDEMPOTENCY_KEY],
        more_errors={"409": "The key came before with another body."},
        example=example,
    )


_COUNTS = object_of(
    {
        "accepted": INTEGER,
        "corrected": INTEGER,
        "duplicates": INTEGER,
        "stale": INTEGER,
        "outvoted": INTEGER,
        "rejected": array_of(object_of({"index": INTEGER, "reason": STRING})),
    },
    {"notes": array_of(object_of({"index": INTEGER, "note": STRING}))},
)


SOURCE: Schema = STRING | {
    "minLength": 1,
    "maxLength": 64,
    "description": "Who says so, where the caller speaks for several.",
}


def _feedback_body(record: Schema, label: Schema, group: Schema) -> Schema:
    item = object_of(
        {"label": label},
        {
            "prediction_id": PREDICTION_ID,
            "record": record,
            "event_time": nullable(DATE_TIME),
            "source": nullable(SOURCE),
            **group,
        },
        "A label with either the prediction that it belongs to, or the record.",
    )
    item["oneOf"] = [{"required": ["prediction_id"]}, {"required": ["record"]}]
    return object_of({"items": array_of(item) | {"minItems": 1}})


def _bentoml_path() -> Schema:
    item = object_of({"use_case": STRING, "record": any_object("As in `POST /v1/{use_case}/predict`.")})
    prediction = any_object("A prediction with `model`, or an `error`.")
    predict = operation(
        "service",
        "predict",
        "Predict, as BentoML's client calls it",
        body=object_of({"items": array_of(item)}),
        response=array_of(prediction),
        more_errors={"504": "It took more than a minute."},
    )
    return {"/predict": {"post": predict}}
