"""POST /v1/{use_case}/recommend in the OpenAPI document."""

from __future__ import annotations

from configs.schema import UseCase
from service.openapi.operations import UNREAD_BODY, operation
from service.openapi.paths.predict import label_properties, predict_body, predictions_schema, truth_schema
from service.openapi.schema_parts import STRING, Schema, array_of, object_of


def recommend_path(name: str, use_case: UseCase, record: Schema, example: object) -> Schema:
    """Path to operation, of one use case; where it has no taxonomy, with error responses only."""
    errors = {"404": "Unknown use case, or one without a taxonomy."}
    if use_case.taxonomy is None:
        errors |= UNREAD_BODY
        recommend = operation(name, f"{name}_recommend", "Nothing to recommend", more_errors=errors)
        return {f"/v1/{name}/recommend": {"post": recommend}}
    recommendation = object_of({"title": STRING}, {"why": STRING, "tags": array_of(STRING)})
    recommendations: Schema = {"recommendations": array_of(recommendation, "The best first.")}
    labels = array_of(truth_schema(use_case)) | {"minItems": 1, "maxItems": use_case.serving.max_records}
    body_with_labels = object_of({"labels": labels})
    response_for_labels = object_of(
        {"predictions": array_of(object_of(label_properties(use_case) | recommendations))}
    )
    recommend = operation(
        name,
        f"{name}_recommend",
        "Predict and recommend",
        body={"anyOf": [predict_body(record, use_case), body_with_labels]},
        response={"anyOf": [predictions_schema(use_case, recommendations), response_for_labels]},
        more_errors=errors,
        example=example,
    )
    return {f"/v1/{name}/recommend": {"post": recommend}}
