"""Texts that cannot be stored or sent as they came: each is refused or kept, and none breaks a route."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import psycopg

from configs.schema import UseCase
from tests.service.answers.test_predict import error
from tests.service.conftest import USE_CASES, Service, record_of

SERVED = ("plans",)

HALF = "\ud800"
PLANS = USE_CASES["plans"]


def send(service: Service, path: str, content: Any) -> Any:
    """As JSON with escapes, which can hold halves of surrogate pairs."""
    return service.post(path, json.dumps(content).encode())


ITEMS: list[Any] = [
    {"label": HALF, "record": {}},
    {"label": "One year", "record": {"churn": HALF}},
    {"label": "One year", "prediction_id": HALF},
    {"label": "One year", HALF: 1},
    HALF,
    {"label": "One year", "record": {"tenure": 2**70}},
    {"label": float("nan"), "much": 10**400},
    {"label": "\0", "record": {"churn": "\0"}},
]


def test_an_item_of_odd_texts_is_rejected_and_kept(service: Service, conn: psycopg.Connection) -> None:
    for path in ("/v1/plans/feedback", "/v1/plans/train"):
        for item in ITEMS:
            response = send(service, path, {"items": [item]})
            assert response.status_code in (200, 202), response.text
            assert [one["index"] for one in response.json()["rejected"]] == [0]
    assert conn.execute("SELECT count(*) FROM quarantine").fetchone() == (len(ITEMS),)


def test_an_item_nested_deeply_is_rejected_and_kept(service: Service, conn: psycopg.Connection) -> None:
    body = b'{"items": [{"label": ' + b"[" * 900 + b"]" * 900 + b"}]}"
    response = service.post("/v1/plans/feedback", body)
    assert response.status_code == 200, response.text
    assert len(response.json()["rejected"]) == 1
    assert conn.execute("SELECT count(*) FROM quarantine").fetchone() == (1,)


def test_options_of_odd_names_are_refused_by_name(service: Service) -> None:
    for path in ("/v1/plans/retrain", "/v1/plans/rollback"):
        told = error(send(service, path, {HALF: 1}), 422, "invalid")
        assert "unable to parse raw data as a unicode string" in told["message"]


def test_reasons_that_the_ledger_cannot_hold_are_refused(service: Service) -> None:
    for key, text in product(("reason", "actor"), ("\0", HALF)):
        told = error(send(service, "/v1/plans/rollback", {key: text}), 422, "invalid")
        assert f"option '{key}'" in told["message"]


def test_numbers_of_events_are_bounded(service: Service) -> None:
    for number in ("9" * 5000, "9" * 19, "-1", "1e3", "\u00b2"):
        told = error(service.get(f"/v1/plans/retrain/progress?last_event_id={number}"), 422, "invalid")
        assert "allowed: the id of an event" in told["message"]


def test_odd_texts_in_records_are_refused_by_name(service: Service, use_case: UseCase) -> None:
    record = record_of(use_case)
    field = use_case.record.fields[0].name
    for path in ("predict", "predictions", "invocations"):
        key = "dataframe_records" if path == "invocations" else "records"
        column = use_case.record.fields[0].source_column if path == "invocations" else field
        response = send(service, f"/v1/{use_case.name}/{path}", {key: [record | {column: HALF}]})
        assert error(response, 422, "invalid")["message"].startswith(f"field '{field}'")
