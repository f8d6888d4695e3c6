"""The OpenAPI document of the service, with the record of each use case spelled out."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from configs.schema import UseCase
from service.openapi.operations import ERROR, PLAIN_ERROR, operation
from service.openapi.paths.control import control_paths, teach_path
from service.openapi.paths.inference import ERROR as INFERENCE_ERROR
from service.openapi.paths.inference import TAG as INFERENCE_TAG
from service.openapi.paths.inference import inference_paths
from service.openapi.paths.jobs import job_paths
from service.openapi.paths.predict import (
    PREDICTION_ID,
    predict_body,
    predictions_schema,
    record_example,
    truth_example,
    truth_schema,
)
from service.openapi.paths.recommend import recommend_path
from service.openapi.paths.schema import schema_path
from service.openapi.paths.scoring import scoring_paths
from service.openapi.paths.state import service_paths, state_paths
from service.openapi.paths.trace import trace_path
from service.openapi.paths.watch import watch_paths
from service.openapi.pieces import INTEGER, TEXT, TIME, Schema, free, link, many, maybe, parameter, told
from service.openapi.schemas import record_schema
from service.openapi.security import secured
from service.storage.idempotency import MAX_KEY

DESCRIPTION = (
    "Predictions and feedback for every use case of this server. `/predict` is for BentoML's own client, "
    "`/v1/{use_case}/invocations` for MLflow's and `/v2` for those of the Open Inference Protocol. "
    "For people there is [a page](/ui)."
)


def write_openapi(use_cases: Mapping[str, UseCase]) -> bytes:
    """The document, as JSON."""
    paths: Schema = {}
    schemas: Schema = {"Error": ERROR, INFERENCE_ERROR: PLAIN_ERROR}
    for name, use_case in use_cases.items():
        schemas[f"{name}_record"] = record_schema(use_case.record)
        paths |= _paths(name, use_case) | state_paths(name, use_case)
        paths |= control_paths(name) | watch_paths(name)
    paths |= _bentoml_path() | trace_path() | scoring_paths(use_cases) | inference_paths(use_cases)
    paths |= service_paths()
    return orjson.dumps(
        secured(
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
    record = {"$ref": f"#/components/schemas/{name}_record"}
    body, answer = predict_body(record, use_case), predictions_schema(use_case)
    example = {"records": [record_example(use_case)]}
    labelled = {"items": [{"record": record_example(use_case), "label": truth_example(use_case)}]}
    feedback = _feedback_body(record, truth_schema(use_case))
    key = parameter(
        "Idempotency-Key",
        "header",
        TEXT | {"minLength": 1, "maxLength": MAX_KEY},
        "The same key with the same body gets the first answer again.",
    )
    predict = operation(name, f"{name}_predict", "Predict", body, answer, example=example)
    first = {"prediction_id": "$response.body#/predictions/0/id"}
    predict["responses"]["200"]["links"] = {"trace": link("trace", first, "Where it comes from.")}
    return {
        f"/v1/{name}/predict": {"post": predict},
        f"/v1/{name}/feedback": {
            "post": operation(
                name,
                f"{name}_feedback",
                "Send true labels",
                feedback,
                _COUNTS,
                [key],
                {"409": "The key came before with another body."},
                example=labelled,
            )
        },
        **recommend_path(name, use_case, record, example),
        **teach_path(name, feedback, _COUNTS, key, labelled),
        **job_paths(name, use_case, body, answer, key, example),
        **schema_path(name, use_case, record),
    }


_COUNTS = told(
    {
        "accepted": INTEGER,
        "corrected": INTEGER,
        "duplicates": INTEGER,
        "rejected": many(told({"index": INTEGER, "reason": TEXT})),
    }
)


def _feedback_body(record: Schema, label: Schema) -> Schema:
    item = told(
        {"label": label},
        {"prediction_id": PREDICTION_ID, "record": record, "event_time": maybe(TIME)},
        "A label with either the prediction that it belongs to, or the record.",
    )
    item["oneOf"] = [{"required": ["prediction_id"]}, {"required": ["record"]}]
    return told({"items": many(item) | {"minItems": 1}})


def _bentoml_path() -> Schema:
    item = told({"use_case": TEXT, "record": free("As in `POST /v1/{use_case}/predict`.")})
    answer = free("A prediction with `model`, or an `error`.")
    made = operation(
        "service",
        "predict",
        "Predict, as BentoML's client calls it",
        told({"items": many(item)}),
        many(answer),
        more_refusals={"504": "It took more than a minute."},
    )
    return {"/predict": {"post": made}}
