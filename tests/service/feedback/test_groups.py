"""What records are grouped by, `record.group`, comes in by every way over HTTP and stays with the label."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from configs.loading import load_use_case
from tests.service.conftest import FolderRegistry, Service, StartService

CONFIG = """
name: loans
title: Loans
kind: tabular
record:
  group: customer_id
  fields: [{name: amount, type: number}]
target: {task: multiclass, column: outcome, classes: [paid, late]}
model: {estimator: logistic}
"""


@pytest.fixture
def loans(start_service: StartService, registry: FolderRegistry, tmp_path: Path) -> Service:
    folder = tmp_path / "configs"
    folder.mkdir()
    (folder / "loans.yaml").write_text(CONFIG, encoding="utf-8")
    registry.add(load_use_case(folder / "loans.yaml"), 1)
    registry.production["loans"] = 1
    return start_service(RATCHET_CONFIGS=str(folder), RATCHET_USE_CASES="loans")


def groups(conn: psycopg.Connection) -> list[str | None]:
    rows = conn.execute("SELECT record_group FROM feedback ORDER BY record->>'amount', seq")
    return [row[0] for row in rows]


def send(service: Service, items: list[Any]) -> Any:
    response = service.post("/v1/loans/feedback", {"items": items})
    assert response.status_code == 200, response.text
    return response.json()


def predict(service: Service, records: list[Any], labels: list[str] | None = None) -> list[str]:
    body = {"records": records} | ({} if labels is None else {"labels": labels})
    response = service.post("/v1/loans/predict", body)
    assert response.status_code == 200, response.text
    return [one["id"] for one in response.json()["predictions"]]


def test_a_label_for_a_prediction_has_its_group(loans: Service, conn: psycopg.Connection) -> None:
    ids = predict(
        loans, [{"amount": 1, "customer_id": "c 7\\"}, {"amount": 2, "customer_id": 8}, {"amount": 3}]
    )
    send(loans, [{"prediction_id": one, "label": "paid"} for one in ids])
    assert groups(conn) == ["c 7\\", "8", None]


def test_an_odd_spelling_is_the_same_group(loans: Service, conn: psycopg.Connection) -> None:
    (one,) = predict(loans, [{"amount": 1, "customer_id": " c7 "}])
    send(loans, [{"prediction_id": one, "label": "paid"}])
    send(loans, [{"record": {"amount": 2, "customer_id": "c7"}, "label": "paid"}])
    assert groups(conn) == ["c7", "c7"]


def test_labels_beside_records_have_it_too(loans: Service, conn: psycopg.Connection) -> None:
    predict(loans, [{"amount": 1, "customer_id": "c7"}, {"amount": 2}], ["paid", "late"])
    assert groups(conn) == ["c7", None]


def test_records_and_items_may_say_it(loans: Service, conn: psycopg.Connection) -> None:
    (one,) = predict(loans, [{"amount": 1}])
    items = [
        {"prediction_id": one, "customer_id": "c1", "label": "paid"},
        {"record": {"amount": 2, "customer_id": "c2"}, "label": "paid"},
        {"record": {"amount": 3}, "customer_id": "c3", "label": "paid"},
        {"record": {"amount": 4, "customer_id": "c4"}, "customer_id": "c5", "label": "paid"},
        {"record": {"amount": 5, "customer_id": [1]}, "label": "paid"},
    ]
    told = send(loans, items)
    assert groups(conn) == ["c1", "c2", "c3"]
    assert [one["index"] for one in told["rejected"]] == [3, 4]
    assert told["rejected"][0]["reason"] == (
        "field 'customer_id': got 'c4' (text) in the record and 'c5' (text) beside it; "
        "allowed: one of the two, or the same"
    )
    assert told["rejected"][1]["reason"].startswith("field 'customer_id': got an array of 1; allowed: ")


def test_what_cannot_be_a_group_is_refused(loans: Service) -> None:
    response = loans.post("/v1/loans/predict", {"records": [{"amount": 1, "customer_id": {}}]})
    assert response.status_code == 422
    assert "field 'customer_id'" in response.json()["error"]["message"]


def test_the_group_may_come_after_the_label(loans: Service, conn: psycopg.Connection) -> None:
    item = {"record": {"amount": 1, "id": "7"}, "label": "paid"}
    assert send(loans, [item])["accepted"] == 1
    assert send(loans, [item | {"customer_id": "c1"}])["duplicates"] == 1
    assert groups(conn) == ["c1"]
    assert send(loans, [item | {"label": "late"}])["corrected"] == 1
    assert groups(conn) == ["c1"], "a correction that does not say it leaves it"


def test_jobs_and_mlflow_frames_say_it(loans: Service, conn: psycopg.Connection) -> None:
    body = {"records": [{"amount": 1, "customer_id": "c1"}], "labels": ["paid"]}
    path = loans.post("/v1/loans/predictions", body).headers["location"]
    while loans.get(path).status_code == 202:
        time.sleep(0.05)
    assert groups(conn) == ["c1"]
    frames: list[Any] = [
        {"dataframe_records": [{"amount": 2, "customer_id": "c2"}]},
        {"dataframe_split": {"columns": ["amount", "customer_id"], "data": [[3, "c3"]]}},
        {"inputs": {"amount": [4], "customer_id": ["c4"]}},
    ]
    for frame in frames:
        told = loans.post("/v1/loans/invocations", frame)
        assert told.status_code == 200, told.text
        send(loans, [{"prediction_id": told.json()["ids"][0], "label": "paid"}])
    assert groups(conn) == ["c1", "c2", "c3", "c4"]


def infer(service: Service, amounts: list[float], **more: Any) -> Any:
    tensors = [{"name": "amount", "datatype": "FP64", "shape": [len(amounts)], "data": amounts}]
    tensors += [{"name": "customer_id", **one} for one in more.pop("tensors", [])]
    return service.post("/v2/models/loans/infer", {"inputs": tensors, **more})


def test_inference_requests_say_it(loans: Service, conn: psycopg.Connection) -> None:
    customers: list[dict[str, Any]] = [
        {"datatype": "BYTES", "shape": [2], "data": [" c1 ", ""]},
        {"datatype": "INT64", "shape": [2, 1], "data": [[7], [8]]},
    ]
    told = [infer(loans, [place, place + 0.5], tensors=[one]) for place, one in enumerate(customers, 1)]
    told += [infer(loans, [3, 3.5], parameters={"customer_id": "c9"}), infer(loans, [4])]
    for response in told:
        assert response.status_code == 200, response.text
        ids = next(one["data"] for one in response.json()["outputs"] if one["name"] == "id")
        send(loans, [{"prediction_id": one, "label": "paid"} for one in ids])
    assert groups(conn) == ["c1", None, "7", "8", "c9", "c9", None]
    inputs = loans.get("/v2/models/loans").json()["inputs"]
    assert [(one["name"], one["datatype"], one["shape"]) for one in inputs] == [
        ("amount", "FP64", [-1]),
        ("customer_id", "BYTES", [-1]),
    ]


def test_groups_of_inference_requests_that_cannot_be_are_refused(loans: Service) -> None:
    def refused(**more: Any) -> str:
        response = infer(loans, [1, 2], **more)
        assert response.status_code == 422, response.text
        message: str = response.json()["error"]
        return message

    texts = {"datatype": "BYTES", "shape": [2], "data": ["c1", "c" * 3000]}
    assert refused(tensors=[texts]).startswith("record 1: field 'customer_id': got 3000 characters")
    assert "got first sizes [1, 2]" in refused(tensors=[texts | {"shape": [1], "data": ["c1"]}])
    fractions = {"datatype": "FP64", "shape": [2], "data": [1.5, 2.0]}
    assert "input 'customer_id': got datatype FP64; allowed: UINT8" in refused(tensors=[fractions])
    wide = {"datatype": "BYTES", "shape": [2, 2], "data": ["a", "b", "c", "d"]}
    assert "got shape [2, 2]; allowed: [n] or [n, 1]" in refused(tensors=[wide])
    both = texts | {"data": ["c1", "c2"]}
    told = refused(tensors=[both], parameters={"customer_id": "c3"})
    assert told == "parameter 'customer_id': got it beside an input of that name; allowed: one of the two"
    assert "field 'customer_id'" in refused(parameters={"customer_id": ["c1", "c2"]})


def test_the_document_names_the_key(loans: Service) -> None:
    document = loans.get("/docs.json").json()
    assert "customer_id" in document["components"]["schemas"]["loans_record"]["properties"]
    post = document["paths"]["/v1/loans/feedback"]["post"]
    items = post["requestBody"]["content"]["application/json"]["schema"]["properties"]["items"]
    assert "customer_id" in items["items"]["properties"]
