"""Recommendations in the OpenAPI document."""

from __future__ import annotations

from configs.schema import UseCase
from service.openapi.operations import UNREAD_BODY, operation
from service.openapi.paths.predict import answer_schema, predict_body, predictions_schema, truth_schema
from service.openapi.pieces import TEXT, Schema, many, told


def recommend_path(name: str, use_case: UseCase, record: Schema, example: object) -> Schema:
    """The path of a use case; without a taxonomy it only says so."""
    refusal = {"404": "Unknown use case, or one without a taxonomy."}
    if use_case.taxonomy is None:
        refusal |= UNREAD_BODY
        made = operation(name, f"{name}_recommend", "Nothing to recommend", None, None, None, refusal)
        return {f"/v1/{name}/recommend": {"post": made}}
    item = told({"title": TEXT}, {"why": TEXT, "tags": many(TEXT)})
    items: Schema = {"recommendations": many(item, "The best first.")}
    labels = many(truth_schema(use_case)) | {"minItems": 1, "maxItems": use_case.serving.max_records}
    known = told({"labels": labels})
    for_labels = told({"predictions": many(told(answer_schema(use_case) | items))})
    made = operation(
        name,
        f"{name}_recommend",
        "Predict and recommend",
        {"anyOf": [predict_body(record, use_case), known]},
        {"anyOf": [predictions_schema(use_case, items), for_labels]},
        None,
        refusal,
        example=example,
    )
    return {f"/v1/{name}/recommend": {"post": made}}
