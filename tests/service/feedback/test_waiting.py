"""Feedback on answers that nobody has given waits for them, and keeps nobody else waiting."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from service.answers.responses import PredictionIds
from service.worker import BLOCKING_THREADS
from tests.service.conftest import USE_CASES, Service, record_of

SERVED = ("digits",)

DIGITS = USE_CASES["digits"]


def labelled(prediction: str) -> dict[str, Any]:
    return {"items": [{"prediction_id": prediction, "label": "3"}]}


async def _set(event: asyncio.Event) -> None:
    event.set()


@pytest.mark.parametrize("path", ["/v1/digits/feedback", "/v1/digits/train", "/v1/trace/"])
def test_ids_that_nobody_has_given_hold_no_thread(
    service: Service, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    answered = asyncio.Event()

    async def sleep(_seconds: float) -> None:
        await answered.wait()

    monkeypatch.setattr("service.storage.waiting.sleep", sleep)
    monkeypatch.setattr("service.storage.waiting.JOURNAL_SECONDS", 0.2)
    ids = PredictionIds().take(2 * BLOCKING_THREADS, time.time_ns() - 10 * 10**9)

    def ask(one: str) -> int:
        response = service.get(path + one) if path.endswith("/") else service.post(path, labelled(one))
        return response.status_code

    with ThreadPoolExecutor(len(ids)) as callers:
        waiting = [callers.submit(ask, one) for one in ids]
        while service.worker.parts.admission.in_flight < len(ids):
            assert not any(one.done() for one in waiting)
        for _ in range(3):
            assert service.get("/v1/digits/schema").status_code == 200
            (answer,) = service.post("/v1/digits/predict", {"records": [record_of(DIGITS)]}).json()[
                "predictions"
            ]
            assert service.post("/v1/digits/feedback", labelled(answer["id"])).json()["accepted"] == 1
        assert not any(one.done() for one in waiting), "they wait still"
        service.run(_set(answered))
        codes = {one.result(30) for one in waiting}
    assert codes == {404 if path.endswith("/") else 202 if path.endswith("train") else 200}


@pytest.mark.parametrize("name", ["no id of ours", "d86c913a-5fcf-448f-8ddb-198788f72c1e"])
def test_what_is_no_id_of_an_answer_is_not_waited_for(
    service: Service, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("service.storage.waiting.sleep", lambda *_: pytest.fail("waited"))
    (told,) = service.post("/v1/digits/feedback", labelled(name)).json()["rejected"]
    assert told["reason"] == f"prediction_id: no prediction '{name}' is known"
