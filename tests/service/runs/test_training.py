"""Labels to learn from at once: stored with the run that will learn from them, or not at all."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from service.runs import training
from store.feedback.rows import count_feedback
from store.runs import lifecycle
from store.runs.lifecycle import request_run
from store.runs.rows import find_run, last_run, waiting_runs
from tests.service.conftest import USE_CASES, Service, record_of

SERVED = ("plans",)

PATH = "/v1/plans/train"
PLANS = USE_CASES["plans"]


def items(*tenures: float) -> dict[str, Any]:
    record = record_of(PLANS)
    return {"items": [{"record": record | {"tenure": tenure}, "label": "One year"} for tenure in tenures]}


def test_labels_are_stored_and_a_run_asked_for(service: Service, conn: psycopg.Connection) -> None:
    answer = service.post(PATH, items(1, 2))
    assert (answer.status_code, answer.headers["location"]) == (202, "/v1/plans/retrain/status")
    told = answer.json()
    assert (told["accepted"], told["rejected"], told["status"]) == (2, [], "queued")
    run = find_run(conn, told["run_id"])
    assert run is not None
    assert (run.kind, run.runner, run.status) == ("train", "worker", "queued")
    assert count_feedback(conn, "plans") == 2


def test_labels_that_come_during_a_run_share_the_next_one(service: Service, conn: psycopg.Connection) -> None:
    running = request_run(conn, "plans", "retrain", "schedule")
    token = lifecycle.start_run(conn, running)
    first, second = (service.post(PATH, items(tenure)).json()["run_id"] for tenure in (1, 2))
    assert first == second != running
    assert waiting_runs(conn, ["plans"]) == []
    lifecycle.finish_run(conn, running, token, "succeeded")
    assert [run.id for run in waiting_runs(conn, ["plans"])] == [first]


def test_nothing_new_is_nothing_to_learn(service: Service, conn: psycopg.Connection) -> None:
    service.post("/v1/plans/feedback", items(1))
    told = service.post(PATH, items(1)).json()
    assert (told["accepted"], told["duplicates"], told["status"], told["run_id"]) == (
        0,
        1,
        "nothing_new",
        None,
    )
    bad = service.post(PATH, {"items": [{"label": "One year"}]}).json()
    assert (bad["rejected"][0]["index"], bad["run_id"]) == (0, None)
    assert last_run(conn, "plans") is None


def test_the_same_key_gets_the_same_run(service: Service) -> None:
    first = service.post(PATH, items(1), idempotency_key="k").json()
    assert service.post(PATH, items(1), idempotency_key="k").json() == first
    assert service.post(PATH, items(2), idempotency_key="k").status_code == 409
    assert service.post("/v1/plans/feedback", items(1), idempotency_key="k").status_code == 409


def test_no_label_is_stored_without_its_run(
    service: Service, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> str:
        raise RuntimeError("no")

    monkeypatch.setattr(training, "request_training", fail)
    assert service.post(PATH, items(1)).status_code == 500
    assert count_feedback(conn, "plans") == 0
