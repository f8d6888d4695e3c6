"""The Open Inference Protocol in the OpenAPI document."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import chain
from typing import Any

from configs.schema import FieldConfig, UseCase
from service.openapi.operations import UNREAD_BODY, operation
from service.openapi.paths.predict import record_example
from service.openapi.pieces import (
    BOOLEAN,
    INTEGER,
    TEXT,
    Schema,
    choice,
    free,
    header_of,
    many,
    maybe,
    of_type,
    parameter,
    told,
)
from service.protocols.signature import OUTPUTS, datatype_of
from service.protocols.tensors import BYTES, NUMBERS

ERROR = "InferenceError"
TAG = "v2"
_DATATYPE = choice(*NUMBERS, BYTES)
_SIZES = many(INTEGER | {"minimum": 0, "maximum": 2**31 - 1}) | {"minItems": 1, "maxItems": 4}
_PARAMETERS = free("`binary_data_size`: bytes of the raw data behind the JSON.")
_OUTPUT = told(
    {"name": choice(*OUTPUTS), "datatype": _DATATYPE, "shape": many(INTEGER)},
    {"data": many({}, "Flat, row by row."), "parameters": _PARAMETERS},
)
_ANSWER = told(
    {"model_name": TEXT, "outputs": many(_OUTPUT)},
    {"model_version": TEXT, "id": TEXT, "parameters": told({"source": TEXT})},
)
_TENSOR = told({"name": TEXT, "datatype": TEXT, "shape": many(INTEGER, "-1: the number of records.")})
_METADATA = told(
    {
        "name": TEXT,
        "versions": many(TEXT, "The one that serves; none where there is no model yet."),
        "platform": TEXT,
        "inputs": many(_TENSOR, "One a field."),
        "outputs": many(_TENSOR),
    }
)
_HEAD = parameter(
    "Inference-Header-Content-Length",
    "header",
    {"type": "integer", "minimum": 0},
    "Bytes of the JSON, where raw data follow it.",
)
_OTHER_VERSION = "Unknown use case, or another version than the one that serves."


def inference_paths(use_cases: Mapping[str, UseCase]) -> Schema:
    """Paths of the server, and of every use case as a model."""
    model = parameter("model_name", "path", choice(*use_cases), "A use case.")
    version = parameter("model_version", "path", TEXT, "That which serves.")
    metadata = told({"name": TEXT, "version": TEXT, "extensions": many(TEXT)})
    state = told({"name": TEXT, "version": TEXT, "state": choice("READY", "UNAVAILABLE"), "reason": TEXT})
    index = _made("index", "All models", many(state), more=UNREAD_BODY)
    paths: Schema = {
        "/v2": {"get": _made("server", "The server", metadata)},
        "/v2/health/live": {"get": _made("live", "Alive", told({"live": BOOLEAN}))},
        "/v2/health/ready": {"get": _made("ready", "Whether all models are ready", _READY_ALL)},
        "/v2/repository/index": {"post": index},
    }
    base = "/v2/models/{model_name}"
    for path, suffix, parameters in (
        (base, "", [model]),
        (f"{base}/versions/{{model_version}}", "_version", [model, version]),
    ):
        refused = {"404": _OTHER_VERSION}
        paths |= {
            path: {"get": _made(f"model{suffix}", "Inputs and outputs", _METADATA, parameters, refused)},
            f"{path}/ready": {
                "get": _made(f"model{suffix}_ready", "Whether it is ready", _READY, parameters, refused)
            },
            f"{path}/infer": {"post": _infer(f"{TAG}_infer{suffix}", use_cases, parameters)},
        }
    return paths


_READY_ALL = told({"ready": BOOLEAN})
_READY = told({"name": TEXT, "ready": BOOLEAN})


def _infer(operation_id: str, use_cases: Mapping[str, UseCase], parameters: list[Schema]) -> Schema:
    binary = header_of(INTEGER, "Bytes of the JSON, where raw data follow it.")
    kinds = {"application/json": _ANSWER, "application/octet-stream": TEXT | {"format": "binary"}}
    answer = of_type("OK", kinds, {"Inference-Header-Content-Length": binary})
    given = told(
        {"name": TEXT, "shape": _SIZES, "datatype": _DATATYPE},
        {"parameters": maybe(_PARAMETERS), "data": maybe(many({}, "Flat or nested, row by row."))},
    )
    wanted = told({"name": choice(*OUTPUTS)}, {"parameters": maybe(_WANTED)})
    body = told(
        {"inputs": many(given, "One tensor a field; those of nullable fields may be left out.")},
        {
            "id": maybe(TEXT | {"maxLength": 200}),
            "outputs": maybe(many(wanted, "Default: all.")),
            "parameters": maybe(_WANTED_ALL),
        },
    )
    made = operation(
        TAG,
        operation_id,
        "Predict",
        body,
        None,
        [*parameters, _HEAD],
        {"404": _OTHER_VERSION},
        {"200": answer},
        error=ERROR,
    )
    content = made["requestBody"]["content"]
    content["application/json"]["examples"] = {
        name: {"value": infer_example(use_case)} for name, use_case in use_cases.items()
    }
    content["application/octet-stream"] = {"schema": TEXT | {"format": "binary"}}
    return made


_WANTED = free("`binary_data`: true for raw data behind the JSON.")
_WANTED_ALL = free("`binary_data_output`: true for all outputs as raw data.")


def infer_example(use_case: UseCase) -> dict[str, Any]:
    """A request for one record."""
    record = record_example(use_case)
    return {"inputs": [_tensor_of(field, record[field.name]) for field in use_case.record.fields]}


def _tensor_of(field: FieldConfig, value: Any) -> dict[str, Any]:
    shape = field.shape or ()
    data = list(chain.from_iterable(value)) if shape else [value]
    assert len(data) == math.prod(shape)
    return {"name": field.name, "datatype": datatype_of(field), "shape": [1, *shape], "data": data}


def _made(
    operation_id: str,
    summary: str,
    answer: Schema,
    parameters: list[Schema] | None = None,
    more: Mapping[str, str] | None = None,
) -> Schema:
    return operation(TAG, f"{TAG}_{operation_id}", summary, None, answer, parameters, more, error=ERROR)
