"""Recommendations in the OpenAPI document."""

from __future__ import annotations

from configs.schema import UseCase
from service.openapi.operations import operation
from service.openapi.predict import answer_schema, predict_body, predictions_schema, truth_schema
from service.openapi.schemas import Schema


def recommend_path(name: str, use_case: UseCase, record: Schema) -> Schema:
    """The path of a use case that has a taxonomy; none for others."""
    if use_case.taxonomy is None:
        return {}
    item = {"type": "object", "required": ["title"], "properties": {"title": {"type": "string"}}}
    items: Schema = {"recommendations": {"type": "array", "items": item, "description": "The best first."}}
    labels = {"type": "array", "items": truth_schema(use_case), "minItems": 1}
    known: Schema = {"type": "object", "required": ["labels"], "properties": {"labels": labels}}
    plain = answer_schema(use_case) | items
    for_labels: Schema = {"type": "object", "required": list(plain), "properties": plain}
    told = {"type": "object", "required": ["predictions"], "properties": {}}
    told["properties"] = {"predictions": {"type": "array", "items": for_labels}}
    return {
        f"/v1/{name}/recommend": {
            "post": operation(
                name,
                f"{name}_recommend",
                "Predict and recommend",
                {"anyOf": [predict_body(record, use_case), known]},
                {"anyOf": [predictions_schema(use_case, items), told]},
                None,
                {"404": "Unknown use case, or one without a taxonomy."},
            )
        }
    }
