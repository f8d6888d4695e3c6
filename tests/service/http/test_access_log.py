"""Which request a line of the log, and an error, belong to."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from typing import Any

import httpx
import orjson
import pytest

from configs.security.origins import OriginPolicy
from service.http.access_log import AccessLog
from service.http.front import Front
from tests.service.answers.test_predict import error
from tests.service.conftest import USE_CASES, Service, _nothing_here, record_of
from tests.service.servers import Server

SERVED = ("plans",)

PLANS = USE_CASES["plans"]


def call(service: Service, method: str, path: str, content: Any = None, **headers: str) -> httpx.Response:
    """A request to the same worker, with its log on."""
    front = AccessLog(
        Front(_nothing_here, lambda: service.worker.routes, lambda path: path == "/livez", OriginPolicy())
    )

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(front)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            body = None if content is None else orjson.dumps(content)
            named = {key.replace("_", "-"): value for key, value in headers.items()}
            return await client.request(
                method, path, content=body, headers={"content-type": "application/json"} | named
            )

    response: httpx.Response = service.run(send())
    return response


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "ratchet.access")
    return caplog


def test_a_request_is_told_with_its_predictions(service: Service, told: pytest.LogCaptureFixture) -> None:
    body = {"records": [record_of(PLANS)] * 2}
    answer = call(service, "POST", "/v1/plans/predict", body, x_request_id="order-7")
    assert answer.headers["x-request-id"] == "order-7"
    ids = [one["id"] for one in answer.json()["predictions"]]
    (line,) = [record for record in told.records if record.name == "ratchet.access"]
    facts = vars(line)
    assert (facts["request_id"], facts["use_case"], facts["status"], facts["prediction_ids"]) == (
        "order-7",
        "plans",
        200,
        ids,
    )
    assert 0 < facts["seconds"] < 60
    assert line.getMessage().startswith("POST /v1/plans/predict: 200 in ")
    assert ids[0] in line.getMessage()


@pytest.mark.parametrize("given", ["", "two words", "x" * 129, "a;b"])
def test_an_id_that_is_no_plain_word_is_replaced(
    service: Service, told: pytest.LogCaptureFixture, given: str
) -> None:
    answer = call(service, "GET", "/v1/plans/model", x_request_id=given)
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
    assert vars(told.records[-1])["prediction_ids"] == []


def test_what_others_answer_is_told_too(service: Service, told: pytest.LogCaptureFixture) -> None:
    assert call(service, "GET", "/livez").headers["x-inner"] == "yes"
    call(service, "GET", "/nowhere")
    facts = [(vars(line)["path"], vars(line)["status"], vars(line)["use_case"]) for line in told.records]
    assert facts == [("/livez", 200, None), ("/nowhere", 404, None)]


def test_without_the_log_only_errors_name_their_request(service: Service) -> None:
    fine = service.get("/v1/plans/model")
    assert "x-request-id" not in fine.headers
    refused = service.post("/v1/plans/predict", {"records": []}, x_request_id="mine")
    error(refused, 422, "invalid")
    assert refused.headers.get_list("x-request-id") == ["mine"]
    assert len(service.get("/v1/nobody/model").headers["x-request-id"]) == 32
    assert len(service.get("/nowhere").headers["x-request-id"]) == 32


def test_a_defect_is_logged_with_the_request_it_broke(
    service: Service, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_down(*_: Any) -> bytes:
        raise RuntimeError("a defect")

    routes = service.worker.routes
    assert routes is not None
    monkeypatch.setattr(routes.table["/v1/plans/model"], "methods", {"GET": break_down})
    answer = service.get("/v1/plans/model")
    error(answer, 500, "internal")
    name = answer.headers["x-request-id"]
    assert {vars(line).get("request_id") for line in caplog.records if line.levelno >= logging.ERROR} == {
        name
    }


@pytest.mark.slow
def test_a_running_service_writes_json_lines(tmp_path: Any, database_url: str) -> None:
    with Server(tmp_path, database_url, RATCHET_LOG_FORMAT="json", RATCHET_ACCESS_LOG="1") as server:
        server.client.get("/health", headers={"x-request-id": "look-1"})
        server.stop()
    found = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    (line,) = [one for one in found if one.get("request_id") == "look-1"]
    assert (line["path"], line["status"], line["level"]) == ("/health", 200, "INFO")


def test_ids_of_one_connection_differ(service: Service) -> None:
    async def both() -> list[httpx.Response]:
        return list(await asyncio.gather(*(service.client.get("/nowhere") for _ in range(2))))

    first, second = service.run(both())
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
