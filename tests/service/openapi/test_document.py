"""Answers are what the OpenAPI document says of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from configs.schema import UseCase
from tests.service.answers.test_predict import predict
from tests.service.conftest import USE_CASES, Service, record_of, truth_of
from tests.service.tiny import classes_of


def operation(service: Service, path: str, method: str = "post") -> tuple[dict[str, Any], dict[str, Any]]:
    """An operation, and the document for its references."""
    document = service.get("/docs.json").json()
    return document["paths"][path][method], document


def check(content: Any, schema: dict[str, Any], document: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(schema | {"components": document["components"]}).validate(content)


def response_schema(operation_object: dict[str, Any], status: int = 200) -> dict[str, Any]:
    schema: dict[str, Any] = operation_object["responses"][str(status)]["content"]["application/json"][
        "schema"
    ]
    return schema


def body_schema(operation_object: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = operation_object["requestBody"]["content"]["application/json"]["schema"]
    return schema


def test_predictions_and_feedback_are_as_described(service: Service, use_case: UseCase) -> None:
    label = truth_of(use_case, classes_of(use_case)[0])
    record = record_of(use_case)
    operation_object, document = operation(service, f"/v1/{use_case.name}/predict")
    records = [record | {"id": 7}]
    body = {"records": records, "labels": [label]}
    check(body, body_schema(operation_object), document)
    check(predict(service, use_case, records, labels=[label]), response_schema(operation_object), document)
    operation_object, document = operation(service, f"/v1/{use_case.name}/feedback")
    items = {"items": [{"record": record, "label": label}]}
    check(items, body_schema(operation_object), document)
    check(
        service.post(f"/v1/{use_case.name}/feedback", items).json(),
        response_schema(operation_object),
        document,
    )
    train, _ = operation(service, f"/v1/{use_case.name}/train")
    answer = service.post(f"/v1/{use_case.name}/train", items)
    check(answer.json(), response_schema(train, answer.status_code), document)


def test_the_check_can_fail(service: Service, use_case: UseCase) -> None:
    operation_object, document = operation(service, f"/v1/{use_case.name}/predict")
    answered = predict(service, use_case, [record_of(use_case)])
    del answered["predictions"][0]["score"]
    with pytest.raises(jsonschema.ValidationError):
        check(answered, response_schema(operation_object), document)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each operation, as `GET /path`."""
    for path, methods in document["paths"].items():
        for method, operation_object in methods.items():
            yield f"{method.upper()} {path}", operation_object


def test_every_route_is_described(service: Service) -> None:
    document = service.get("/docs.json").json()
    described = {re.sub(r"\{\w+\}", "*", name) for name, _ in operations(document)}
    described |= {
        name.replace("/v2/models/*", f"/v2/models/{use_case}", 1)
        for name in described
        for use_case in USE_CASES
    }
    own = service.worker.routes
    assert own is not None
    tables = (own.table, {f"{path}/*": route for path, route in own.folders.items()})
    routes = {
        f"{method} {path}" for table in tables for path, route in table.items() for method in route.methods
    }
    assert len(routes) > 60
    for_people = {route for route in routes if route.split()[1].split("/")[1] == "ui"}
    heads = {f"HEAD {route.split()[1]}" for route in routes if route.startswith("GET ")}
    assert heads <= routes
    assert sorted(routes - described - for_people - heads) == []


def test_every_example_is_what_it_stands_for(service: Service) -> None:
    document = service.get("/docs.json").json()
    checked = 0
    for name, operation_object in operations(document):
        content = operation_object.get("requestBody", {"content": {}})["content"].get("application/json", {})
        examples = [example["value"] for example in content.get("examples", {}).values()]
        for example in [*examples, *([content["example"]] if "example" in content else [])]:
            check(example, content["schema"], document)
            checked += 1
        assert examples or "example" in content or not content or name == "POST /predict", name
    assert checked > 30


def test_every_link_leads_to_an_operation(service: Service) -> None:
    document = service.get("/docs.json").json()
    ids = {operation_object["operationId"]: operation_object for _, operation_object in operations(document)}
    assert len(ids) == len(list(operations(document)))
    links = [
        link
        for _, operation_object in operations(document)
        for response in operation_object["responses"].values()
        for link in response.get("links", {}).values()
    ]
    assert len(links) == 4 * len(USE_CASES)
    for link in links:
        names = {parameter["name"] for parameter in ids[link["operationId"]]["parameters"]}
        assert set(link["parameters"]) <= names


def test_what_the_service_tells_of_itself_is_as_described(service: Service, use_case: UseCase) -> None:
    base = f"/v1/{use_case.name}"
    answer = predict(service, use_case, [record_of(use_case)])
    name = answer["predictions"][0]["id"]
    service.post(
        f"{base}/feedback",
        {"items": [{"prediction_id": name, "label": truth_of(use_case, classes_of(use_case)[0])}]},
    )
    service.post(f"{base}/retrain", b"")
    for path, template in (
        ("/health", "/health"),
        (f"{base}/model", f"{base}/model"),
        (f"{base}/ledger", f"{base}/ledger"),
        (f"{base}/retrain/status", f"{base}/retrain/status"),
        (f"/v1/trace/{name}", "/v1/trace/{prediction_id}"),
    ):
        operation_object, document = operation(service, template, "get")
        response = service.get(path)
        assert response.status_code == 200, response.text
        check(response.json(), response_schema(operation_object), document)
