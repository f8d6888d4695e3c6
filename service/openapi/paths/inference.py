"""The Open Inference Protocol in the OpenAPI document."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import chain
from typing import Any

from configs.schema import FieldConfig, UseCase
from service.openapi.operations import UNREAD_BODY, operation
from service.openapi.paths.predict import record_example
from service.openapi.schema_parts import (
    BOOLEAN,
    INTEGER,
    STRING,
    Schema,
    any_object,
    array_of,
    enum_of,
    header,
    nullable,
    object_of,
    parameter,
    response_of,
)
from service.protocols.signature import OUTPUTS, datatype_of
from service.protocols.tensors import BYTES, NUMBERS

ERROR = "InferenceError"
TAG = "v2"
_DATATYPE = enum_of(*NUMBERS, BYTES)
_SIZES = array_of(INTEGER | {"minimum": 0, "maximum": 2**31 - 1}) | {"minItems": 1, "maxItems": 4}
_PARAMETERS = any_object("`binary_data_size`: bytes of the raw data behind the JSON.")
_OUTPUT = object_of(
    {"name": enum_of(*OUTPUTS), "datatype": _DATATYPE, "shape": array_of(INTEGER)},
    {"data": array_of({}, "Flat, row by row."), "parameters": _PARAMETERS},
)
_RESPONSE = object_of(
    {"model_name": STRING, "outputs": array_of(_OUTPUT)},
    {"model_version": STRING, "id": STRING, "parameters": object_of({"source": STRING})},
)
_TENSOR = object_of(
    {"name": STRING, "datatype": STRING, "shape": array_of(INTEGER, "-1: the number of records.")}
)
_METADATA = object_of(
    {
        "name": STRING,
        "versions": array_of(STRING, "The one that serves; none where there is no model yet."),
        "platform": STRING,
        "inputs": array_of(_TENSOR, "One a field, and one for what records are grouped by."),
        "outputs": array_of(_TENSOR),
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
    """Path to operations: those of the server, and those of every use case as a model."""
    model = parameter("model_name", "path", enum_of(*use_cases), "A use case.")
    version = parameter("model_version", "path", STRING, "That which serves.")
    metadata = object_of({"name": STRING, "version": STRING, "extensions": array_of(STRING)})
    state = object_of(
        {"name": STRING, "version": STRING, "state": enum_of("READY", "UNAVAILABLE"), "reason": STRING}
    )
    index = _operation("index", "All models", array_of(state), more_errors=UNREAD_BODY)
    paths: Schema = {
        "/v2": {"get": _operation("server", "The server", metadata)},
        "/v2/health/live": {"get": _operation("live", "Alive", object_of({"live": BOOLEAN}))},
        "/v2/health/ready": {"get": _operation("ready", "Whether all models are ready", _READY_ALL)},
        "/v2/repository/index": {"post": index},
    }
    base = "/v2/models/{model_name}"
    for path, suffix, parameters in (
        (base, "", [model]),
        (f"{base}/versions/{{model_version}}", "_version", [model, version]),
    ):
        errors = {"404": _OTHER_VERSION}
        paths |= {
            path: {"get": _operation(f"model{suffix}", "Inputs and outputs", _METADATA, parameters, errors)},
            f"{path}/ready": {
                "get": _operation(f"model{suffix}_ready", "Whether it is ready", _READY, parameters, errors)
            },
            f"{path}/infer": {"post": _infer(f"{TAG}_infer{suffix}", use_cases, parameters)},
        }
    return paths


_READY_ALL = object_of({"ready": BOOLEAN})
_READY = object_of({"name": STRING, "ready": BOOLEAN})


def _infer(operation_id: str, use_cases: Mapping[str, UseCase], parameters: list[Schema]) -> Schema:
    head_length = header(INTEGER, "Bytes of the JSON, where raw data follow it.")
    schemas = {"application/json": _RESPONSE, "application/octet-stream": STRING | {"format": "binary"}}
    response = response_of("OK", schemas, {"Inference-Header-Content-Length": head_length})
    input_tensor = object_of(
        {"name": STRING, "shape": _SIZES, "datatype": _DATATYPE},
        {"parameters": nullable(_PARAMETERS), "data": nullable(array_of({}, "Flat or nested, row by row."))},
    )
    output = object_of({"name": enum_of(*OUTPUTS)}, {"parameters": nullable(_OUTPUT_PARAMETERS)})
    body = object_of(
        {
            "inputs": array_of(
                input_tensor,
                "One tensor a field, and one for what records are grouped by; that and those of nullable "
                "fields may be left out.",
            )
        },
        {
            "id": nullable(STRING | {"maxLength": 200}),
            "outputs": nullable(array_of(output, "Default: all.")),
            "parameters": nullable(_REQUEST_PARAMETERS),
        },
    )
    infer = operation(
        TAG,
        operation_id,
        "Predict",
        body=body,
        parameters=[*parameters, _HEAD],
        more_errors={"404": _OTHER_VERSION},
        more_responses={"200": response},
        error=ERROR,
    )
    content = infer["requestBody"]["content"]
    content["application/json"]["examples"] = {
        name: {"value": infer_example(use_case)} for name, use_case in use_cases.items()
    }
    content["application/octet-stream"] = {"schema": STRING | {"format": "binary"}}
    return infer


_OUTPUT_PARAMETERS = any_object("`binary_data`: true for raw data behind the JSON.")
_REQUEST_PARAMETERS = any_object(
    "`binary_data_output`: true for all outputs as raw data. One that is named as the key of `record.group` "
    "is the group of all records."
)


def infer_example(use_case: UseCase) -> dict[str, Any]:
    """A request for one record."""
    record = record_example(use_case)
    return {"inputs": [_tensor_of(field, record[field.name]) for field in use_case.record.fields]}


def _tensor_of(field: FieldConfig, value: Any) -> dict[str, Any]:
    shape = field.shape or ()
    data: list[Any] = [value]
    for _ in shape:
        data = list(chain.from_iterable(data))
    assert len(data) == math.prod(shape)
    return {"name": field.name, "datatype": datatype_of(field), "shape": [1, *shape], "data": data}


def _operation(
    operation_id: str,
    summary: str,
    response: Schema,
    parameters: list[Schema] | None = None,
    more_errors: Mapping[str, str] | None = None,
) -> Schema:
    return operation(
        TAG,
        f"{TAG}_{operation_id}",
        summary,
        response=response,
        parameters=parameters,
        more_errors=more_errors,
        error=ERROR,
    )
