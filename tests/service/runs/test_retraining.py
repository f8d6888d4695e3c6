"""Runs over HTTP: asked for, followed, stopped; the worker is played by the test."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import psycopg
import pytest

from models.production import ledger
from service.errors import TooManyStreams
from service.runs import progress, retraining
from store.runs import lifecycle
from store.runs.lifecycle import request_run
from store.runs.rows import find_run, last_run, queued_run
from tests.service.conftest import Service
from tests.service.openapi.test_document import check, operation, response_schema

SERVED = ("digits", "plans")

BASE = "/v1/plans/retrain"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """No dispatcher is there to wait for."""
    monkeypatch.setattr(retraining, "TAKEN_SECONDS", 0.0)
    monkeypatch.setattr(progress, "LOOK_SECONDS", 0.02)


def begin(conn: psycopg.Connection) -> tuple[str, int]:
    run_id = request_run(conn, "plans", "retrain", "schedule")
    return run_id, lifecycle.start_run(conn, run_id)


def events(text: str) -> list[dict[str, Any]]:
    """Server-sent events as dictionaries; comments are left out."""
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            found.append({**lines, "data": json.loads(lines["data"])})
    return found


@pytest.mark.parametrize(
    "selection", [None, {}, {"since": "2026-11-01T00:00:00+00:00", "others_held_out": 3}]
)
def test_a_verdict_of_an_earlier_release_on_chosen_labels_is_told(
    service: Service, conn: psycopg.Connection, selection: dict[str, Any] | None
) -> None:
    evidence = {"outcome": "labels_selected"} | ({} if selection is None else {"selection": selection})
    reason = "labels may be selected"
    ledger.record(
        conn, "plans", "too_little_evidence", actor="schedule", reason=reason, from_version=1, to_version=2,
        evidence=evidence,
    )  # fmt: skip
    conn.commit()
    answer = service.get(f"{BASE}/status")
    assert answer.status_code == 200
    description, document = operation(service, f"{BASE}/status", "get")
    check(answer.json(), response_schema(description), document)
    told = answer.json()["chosen_labels"]
    assert told["sentence"].startswith(f"nothing is promoted, as {reason}")
    assert (told["missing"] is None) == (not selection)


def test_a_retrain_is_a_row_before_it_is_answered(service: Service, conn: psycopg.Connection) -> None:
    answer = service.post("/v1/digits/retrain", {"epochs": 3})
    assert answer.status_code == 202
    assert answer.headers["location"] == "/v1/digits/retrain/status"
    run = find_run(conn, answer.json()["run_id"])
    assert run is not None
    assert (answer.json()["status"], run.status, run.kind, run.trigger) == (
        "queued",
        "queued",
        "retrain",
        "http",
    )
    assert (run.runner, run.options) == ("worker", {"epochs": 3})


def test_an_empty_body_asks_for_a_plain_retrain(service: Service, conn: psycopg.Connection) -> None:
    run = find_run(conn, service.post(BASE, b"").json()["run_id"])
    assert run is not None
    assert run.options == {}


def test_a_retrain_says_started_once_it_is_taken(
    service: Service, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retraining, "TAKEN_SECONDS", 60.0)
    taken = threading.Thread(target=take_next, args=(conn,))
    taken.start()
    assert service.post(BASE, {}).json()["status"] == "started"
    taken.join(30)


def take_next(conn: psycopg.Connection) -> None:
    while (run := queued_run(conn, "plans")) is None:
        pass
    lifecycle.start_run(conn, run.id)


def test_whoever_started_a_run_a_second_is_refused_with_its_id(
    service: Service, conn: psycopg.Connection
) -> None:
    run_id, _ = begin(conn)
    refused = service.post(BASE, {})
    assert refused.status_code == 409
    assert refused.json()["error"]["code"] == "busy"
    assert refused.json()["error"]["details"] == {"run_id": run_id}
    assert service.post("/v1/digits/retrain", {}).status_code == 202


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"epochs": 0}, "option 'epochs': got 0; allowed: greater than 0"),
        (
            {"epochs": 3},
            "option 'epochs': got 3, but model.estimator catboost has no epochs; of kind tabular have: "
            "keras_mixed",
        ),
        ({"epochs": "3"}, "option 'epochs': got '3'; allowed: a valid integer"),
        ({"nonsense": 1}, "unknown option 'nonsense'; allowed: one of epochs, sample_count, from_scratch"),
        ({"epoch": 1}, "epochs, sample_count, from_scratch (is 'epochs' meant?)"),
        ({"output_dir": "/tmp"}, "unknown option 'output_dir'; allowed: one of epochs"),
        ([], "the body: got "),
    ],
)
def test_what_may_not_be_asked_is_named(
    service: Service, conn: psycopg.Connection, body: Any, named: str
) -> None:
    refused = service.post(BASE, body)
    assert refused.status_code == 422
    assert named in refused.json()["error"]["message"]
    assert last_run(conn, "plans") is None


def test_stopping(service: Service, conn: psycopg.Connection) -> None:
    nothing = service.post(f"{BASE}/stop", b"")
    assert (nothing.status_code, nothing.json()["error"]["code"]) == (409, "not_running")
    queued = service.post(BASE, {}).json()["run_id"]
    assert service.post(f"{BASE}/stop", b"").json() == {"status": "stopped", "run_id": queued}
    run_id, token = begin(conn)
    assert service.post(f"{BASE}/stop", b"").json() == {"status": "stopping", "run_id": run_id}
    assert service.get(f"{BASE}/status").json()["state"] == "stopping"
    assert lifecycle.heartbeat(conn, run_id, token)


def test_the_status_says_where_the_use_case_stands(service: Service, conn: psycopg.Connection) -> None:
    run_id, token = begin(conn)
    lifecycle.heartbeat(conn, run_id, token, {"step": "train", "epoch": 2})
    told = service.get(f"{BASE}/status").json()
    assert (told["state"], told["run"]["id"], told["run"]["trigger"]) == ("running", run_id, "schedule")
    assert told["run"]["progress"] == {"step": "train", "epoch": 2}
    assert (told["last_run"], told["version"], told["drift"]) == (None, 1, None)
    result = {
        "outcome": "rejected",
        "reason": "worse",
        "train_rows": 90,
        "newness": {"rows": 90, "new": 1, "returned": 40, "since": 1},
        "scores": {"full": {"accuracy": 0.9}},
    }
    lifecycle.finish_run(conn, run_id, token, "succeeded", result)
    told = service.get(f"{BASE}/status").json()
    last = told["last_run"]
    assert (told["state"], told["run"], last["outcome"], last["reason"]) == (
        "idle",
        None,
        "rejected",
        "worse",
    )
    assert last["rows"] == {"train": 90, "judged": None, "new": 1, "returned": 40}
    assert (last["rows"]["train"], last["scores"]) == (90, {"full": {"accuracy": 0.9}})
    assert last["seconds"] >= 0
    assert told["labels"] == {
        "total": 0, "new": 0, "since": "production was trained", "untried": 0, "every": 1000, "percent": 0.0
    }  # fmt: skip
    assert told["recommendation"]["verdict"] == "collect_labels"
    assert told["recommendation"]["needs"] == "need 99 more labels"


def test_progress_is_followed_to_the_verdict(service: Service, conn: psycopg.Connection) -> None:
    run_id, token = begin(conn)
    lifecycle.heartbeat(conn, run_id, token, {"step": "train", "epoch": 1})

    def finish() -> None:
        lifecycle.heartbeat(conn, run_id, token, {"step": "gate"})
        lifecycle.finish_run(conn, run_id, token, "succeeded", {"outcome": "promoted"})

    later = threading.Timer(0.3, finish)
    later.start()
    answer = service.get(f"{BASE}/progress")
    later.join()
    assert answer.headers["content-type"] == "text/event-stream"
    told = events(answer.text)
    said = [one["data"] for one in told if one["event"] == "progress"]
    assert said == [{"step": "train", "epoch": 1}, {"step": "gate"}]
    assert told[0] == {"event": "status", "data": {"run_id": run_id, "status": "running"}}
    assert told[-1]["event"] == "end"
    assert told[-1]["data"] == {
        "run_id": run_id,
        "status": "succeeded",
        "result": {"outcome": "promoted"},
        "error": None,
    }


def test_a_stream_goes_on_after_the_event_seen_last(service: Service, conn: psycopg.Connection) -> None:
    run_id, token = begin(conn)
    for epoch in range(3):
        lifecycle.heartbeat(conn, run_id, token, {"epoch": epoch})
    lifecycle.finish_run(conn, run_id, token, "failed", error="no")
    whole = events(service.get(f"{BASE}/progress").text)
    seen = [one["id"] for one in whole if one["event"] == "progress"]
    rest = events(service.get(f"{BASE}/progress?run_id={run_id}&last_event_id={seen[0]}").text)
    assert [one["id"] for one in rest if one["event"] == "progress"] == seen[1:]
    assert (rest[-1]["event"], rest[-1]["data"]["error"]) == ("end", "no")


def test_a_stream_has_something_to_follow(service: Service, conn: psycopg.Connection) -> None:
    assert service.get(f"{BASE}/progress").json()["error"]["code"] == "no_run"
    begin(conn)
    assert service.get("/v1/digits/retrain/progress").status_code == 404
    for unknown in ("nothing", "%00", "urn:uuid:01a1fe1e-7758-754b-870d-78d48fef5ac1", f"{'0-' * 31}0"):
        assert service.get(f"{BASE}/progress?run_id={unknown}").status_code == 404
    refused = service.get(f"{BASE}/progress?last_event_id=x")
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid")


def test_streams_end_with_the_worker_and_are_counted(
    service: Service, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(conn)
    monkeypatch.setattr(progress, "MOST_STREAMS", 0)
    refused = service.get(f"{BASE}/progress")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
    monkeypatch.undo()
    threading.Timer(0.3, service.worker.streams.close).start()
    assert [one["event"] for one in events(service.get(f"{BASE}/progress").text)] == ["status"]


def test_one_client_cannot_take_all_streams(
    service: Service, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = begin(conn)
    monkeypatch.setattr(progress, "MOST_STREAMS", 3)
    streams = service.worker.streams

    async def follow(address: str) -> list[bytes]:
        return [part async for part in streams.follow(run, 0, address) if part]

    async def all_of_them() -> None:
        crowd = [asyncio.create_task(follow("crowd")) for _ in range(3)]
        await asyncio.sleep(0.2)
        with pytest.raises(TooManyStreams):
            streams.follow(run, 0, "crowd")
        lone = asyncio.create_task(follow("lone"))
        await asyncio.wait_for(crowd[0], 5)  # the oldest
        assert not any(one.done() for one in (*crowd[1:], lone))
        with pytest.raises(TooManyStreams):  # as many as the crowd would then have
            streams.follow(run, 0, "lone")
        streams.close()
        await asyncio.gather(*crowd, lone)

    service.run(all_of_them())


def test_a_silent_stream_says_that_it_lives(
    service: Service, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(conn)
    monkeypatch.setattr(progress, "HEARTBEAT_SECONDS", 0.05)
    threading.Timer(0.5, service.worker.streams.close).start()
    assert ": the run goes on\n\n" in service.get(f"{BASE}/progress").text


def test_the_status_tells_the_record_of_each_verdict(service: Service, conn: psycopg.Connection) -> None:
    nothing = service.get(f"{BASE}/status").json()["record"]
    assert (nothing["last"], nothing["sentence"]) == (None, None)
    assert [(one["event"], one["version"]) for one in nothing["series"]] == [("external", 1)]
    figures = {
        "rows": 800,
        "periods": 3,
        "gain": 0.004,
        "lower": 0.003,
        "lost": 0.006,
        "line": 0.01,
        "age": 2,
    }
    kept = figures | {"error": 0.001, "carried_by": []}
    evidence = {"outcome": "worse", "record": kept}
    for event, told in (("promoted", {"outcome": "first_model", "record": None}), ("rejected", evidence)):
        ledger.record(conn, "plans", event, actor="x", reason="", from_version=1, to_version=2, evidence=told)  # type: ignore[arg-type]
    description, document = operation(service, f"{BASE}/status", "get")
    status = service.get(f"{BASE}/status").json()
    check(status, response_schema(description), document)
    last = status["record"]["last"]
    assert status["record"]["series"][-1] == last
    assert {name: last[name] for name in figures} == figures
    assert status["record"]["series"][1]["lost"] is None
    assert status["record"]["missing"].startswith("staying with production must lose 0.0040 more")
