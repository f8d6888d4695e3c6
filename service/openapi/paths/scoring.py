"""MLflow's scoring protocol in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from configs.schema import UseCase
from service.openapi.operations import operation
from service.openapi.paths.predict import model_schema, record_example, source_schema
from service.openapi.schema_parts import NUMBER, STRING, UUID, Schema, array_of, object_of, response_of
from service.openapi.schemas import field_schema

_ANY: Schema = {}
_NAMES = array_of(STRING, "Names of the columns, as files have them, or of the fields.")
_FRAMES: Schema = {
    "dataframe_split": object_of(
        {"data": array_of(array_of(_ANY)) | {"minItems": 1}}, {"columns": _NAMES, "index": array_of(_ANY)}
    ),
    "instances": array_of(_ANY, "A row each: by column, or values in order.") | {"minItems": 1},
    "inputs": {"description": "Columns by name, or as `instances`.", "type": ["object", "array"]},
}
_UNTRAINED = {"503": "There is no model yet."}


def scoring_paths(use_cases: Mapping[str, UseCase]) -> Schema:
    """Path to operations: below every use case and, as on MLflow's own server, at the root."""
    paths: Schema = {}
    for name, use_case in use_cases.items():
        base = f"/v1/{name}"
        paths[f"{base}/invocations"] = {"post": _invocations(name, name, use_case)}
        paths[f"{base}/ping"] = {"get": _text(name, f"{name}_ping", "Whether there is a model", _UNTRAINED)}
        paths[f"{base}/version"] = {"get": _text(name, f"{name}_version", "MLflow's version")}
    only_use_case = next(iter(use_cases.values())) if len(use_cases) == 1 else None
    many_use_cases = {"404": "The server has several use cases; ask below `/v1/{use_case}`."}
    paths["/invocations"] = {
        "post": operation("service", "invocations", "Below each use case instead", more_errors=many_use_cases)
        if only_use_case is None
        else _invocations("service", "only", only_use_case)
    }
    paths["/ping"] = {"get": _text("service", "ping", "Whether all use cases have a model", _UNTRAINED)}
    paths["/version"] = {"get": _text("service", "version", "MLflow's version")}
    return paths


def _invocations(tag: str, prefix: str, use_case: UseCase) -> Schema:
    multilabel = use_case.target.task == "multilabel"
    label = STRING | ({"description": "Labels joined as in files."} if multilabel else {})
    row = object_of({"label": label, "score": NUMBER}) | {"additionalProperties": NUMBER}
    row["description"] = "Beside these the probability of each class, `scores.<class>`."
    response = object_of(
        {
            "predictions": array_of(row),
            "ids": array_of(UUID, "Of the predictions, to send true labels for."),
            "model": model_schema(use_case),
        },
        {} if use_case.chain is None else {"sources": array_of(source_schema(use_case))},
    )
    rows = array_of(_row_schema(use_case), "A row each, by column; values may be written as text.")
    frames = _FRAMES | {"dataframe_records": rows | {"minItems": 1}}
    body = {"anyOf": [object_of({name: frame}) for name, frame in frames.items()]}
    invoke = operation(
        tag,
        f"{prefix}_invocations",
        "Predict, as MLflow's scoring server does",
        body=body,
        response=response,
        example={"dataframe_records": [_row_example(use_case)]},
    )
    invoke["requestBody"]["content"]["text/csv"] = {"schema": STRING}
    return invoke


def _row_schema(use_case: UseCase) -> Schema:
    fields = use_case.record.fields
    required = {field.source_column: field_schema(field) for field in fields if not field.nullable}
    return object_of(
        required, {field.source_column: field_schema(field) for field in fields if field.nullable}
    )


def _row_example(use_case: UseCase) -> dict[str, Any]:
    record = record_example(use_case)
    return {field.source_column: record[field.name] for field in use_case.record.fields}


def _text(tag: str, operation_id: str, summary: str, errors: Mapping[str, str] | None = None) -> Schema:
    responses = {"200": response_of("OK", {"text/plain": STRING})}
    return operation(tag, operation_id, summary, more_errors=errors, more_responses=responses)
