"""Answers are what the OpenAPI document says of them."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from configs.schema import UseCase
from tests.service.conftest import Service, record_of, truth_of
from tests.service.test_predict import predict
from tests.service.tiny import classes_of


def operation(service: Service, path: str, method: str = "post") -> tuple[dict[str, Any], dict[str, Any]]:
    """An operation, and the document for its references."""
    document = service.get("/docs.json").json()
    return document["paths"][path][method], document


def check(content: Any, schema: dict[str, Any], document: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(schema | {"components": document["components"]}).validate(content)


def answer_schema(told: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = told["responses"]["200"]["content"]["application/json"]["schema"]
    return found


def body_schema(told: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = told["requestBody"]["content"]["application/json"]["schema"]
    return found


def test_predictions_and_feedback_are_as_described(service: Service, use_case: UseCase) -> None:
    label = truth_of(use_case, classes_of(use_case)[0])
    record = record_of(use_case)
    told, document = operation(service, f"/v1/{use_case.name}/predict")
    records = [record | {"id": 7}]
    body = {"records": records, "labels": [label]}
    check(body, body_schema(told), document)
    check(predict(service, use_case, records, labels=[label]), answer_schema(told), document)
    told, document = operation(service, f"/v1/{use_case.name}/feedback")
    items = {"items": [{"record": record, "label": label}]}
    check(items, body_schema(told), document)
    check(service.post(f"/v1/{use_case.name}/feedback", items).json(), answer_schema(told), document)


def test_the_check_can_fail(service: Service, use_case: UseCase) -> None:
    told, document = operation(service, f"/v1/{use_case.name}/predict")
    answered = predict(service, use_case, [record_of(use_case)])
    del answered["predictions"][0]["score"]
    with pytest.raises(jsonschema.ValidationError):
        check(answered, answer_schema(told), document)
