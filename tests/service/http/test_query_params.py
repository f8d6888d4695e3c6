"""Queries say nothing that is not read: a key that is unknown, or there twice, is refused."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from service.http.front import Route
from tests.service.answers.test_predict import error
from tests.service.conftest import USE_CASES, Service, record_of

PREDICT = "/v1/plans/predict"
REFUSED = [
    ("GET", "/v1/plans/ledger?limt=3", "unknown query key 'limt' (is 'limit' meant?); allowed: limit"),
    ("GET", "/v1/plans/quality?hour=3&windows=4", "'hour' (is 'hours' meant?); allowed: hours, windows"),
    ("GET", "/v1/plans/model?version=3", "unknown query key 'version'; allowed: none here"),
    ("HEAD", "/v1/plans/model?version=3", ""),
    ("GET", "/v1/trace/nothing?limit=3", "unknown query key 'limit'; allowed: none here"),
    ("GET", "/v1/plans/retrain/progress?run=3", "unknown query key 'run'; allowed: last_event_id, run_id"),
    ("POST", "/v1/plans/rollback?to=1", "unknown query key 'to'; allowed: none here"),
    ("POST", "/v1/plans/retrain?epochs=1", "unknown query key 'epochs'; allowed: none here"),
    ("POST", f"{PREDICT}?version=1", "unknown query key 'version'; allowed: none here"),
    ("DELETE", "/v1/plans/feedback/h:1?why=x", "unknown query key 'why'; allowed: reason"),
    ("GET", "/v1/plans/ledger?limit=3&limit=4", "query 'limit': came more than once; allowed: once"),
    ("GET", "/v1/plans/ledger?LIMIT=3", "unknown query key 'LIMIT' (is 'limit' meant?)"),
    ("GET", "/v1/plans/ledger?=3", "unknown query key ''; allowed: limit"),
]
LENIENT = [
    "/health?x=1", "/readyz?x=1", "/docs.json?x=1", "/ui?v=1", "/ui/app.js?v=1",
    "/ping?x=1", "/version?x=1", "/v1/plans/ping?x=1",
    "/v2?x=1", "/v2/health/live?x=1", "/v2/models/plans?x=1",
]  # fmt: skip


def ask(service: Service, method: str, path: str, body: Any = None) -> httpx.Response:
    answer: httpx.Response
    if method == "POST":
        answer = service.post(path, {} if body is None else body)
    else:
        answer = service.get(path, method)
    return answer


@pytest.mark.parametrize(("method", "path", "told"), REFUSED)
def test_what_no_call_reads_is_refused_by_its_name(
    service: Service, method: str, path: str, told: str
) -> None:
    answer = ask(service, method, path)
    if method == "HEAD":
        assert answer.status_code == 400
    else:
        assert told in error(answer, 400, "bad_request")["message"]


def test_nothing_is_done_that_was_asked_otherwise(service: Service) -> None:
    error(ask(service, "POST", "/v1/plans/retrain?epochs=1"), 400, "bad_request")
    assert service.get("/v1/plans/retrain/status").json()["state"] == "idle"


def test_what_belongs_into_a_query_is_read(service: Service) -> None:
    assert service.get("/v1/plans/ledger?limit=3").status_code == 200
    assert service.get("/v1/plans/ledger?").status_code == 200
    assert service.get("/v1/plans/quality?hours=3&windows=4").status_code == 200
    error(service.get("/v1/plans/ledger?limit="), 422, "invalid")
    error(ask(service, "DELETE", "/v1/plans/feedback/nobody?reason=why"), 404, "unknown_label")


@pytest.mark.parametrize("path", LENIENT)
def test_what_others_call_may_say_anything(service: Service, path: str) -> None:
    assert service.get(path).status_code == 200


def test_clients_of_other_protocols_may_add_keys_of_theirs(service: Service) -> None:
    record = record_of(USE_CASES["plans"])
    frame = {"dataframe_records": [record]}
    assert ask(service, "POST", "/v1/plans/invocations?trace=7", frame).status_code == 200
    assert ask(service, "POST", "/v2/repository/index?ready=true").status_code == 200


def test_the_document_says_which_keys_are_read(service: Service) -> None:
    routes, document = service.worker.routes, service.get("/docs.json").json()
    assert routes is not None
    strict = 0
    for path, operations in document["paths"].items():
        concrete = path.replace("{model_name}", "plans")
        route: Route | None = routes.table.get(concrete) or routes.folders.get(concrete.rpartition("/")[0])
        for operation in operations.values():
            told = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]
            if route is None or route.query is None:
                assert told == []
            else:
                strict += 1
                assert sorted(told) == sorted(route.query), path
                assert "400" in operation["responses"], path
    assert strict > 60


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/plan/predict"),
        ("GET", "/v1/PLANS/retrain/status"),
        ("POST", "/v1/plan/invocations"),
        ("GET", "/v2/models/plan"),
        ("POST", "/v2/models/plan/infer"),
        ("GET", "/v1/plan/replays/x"),
        ("DELETE", "/v1/plan/feedback/x"),
    ],
)
def test_an_unknown_use_case_is_told_with_the_nearest(service: Service, method: str, path: str) -> None:
    answer = ask(service, method, path)
    assert (answer.status_code, answer.json().get("code", "unknown_use_case")) == (404, "unknown_use_case")
    assert "(is 'plans' meant?); known: " in answer.text


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("/v1/plans/leger", "/v1/plans/ledger"),
        ("/v1/plans/predict/", "/v1/plans/predict"),
        ("/v1/plans/retrain/state", "/v1/plans/retrain/status"),
        ("/v1/plans/prediction/abc", "/v1/plans/predictions/abc"),
        ("/helth", "/health"),
        ("/v2/models/plans/raedy", "/v2/models/plans/ready"),
    ],
)
def test_a_path_that_there_is_not_is_told_with_the_nearest(service: Service, path: str, near: str) -> None:
    assert f"(is '{near}' meant?)" in service.get(path).text
    assert "meant" not in service.get("/v1/plans/nothing/of/the/kind").text
