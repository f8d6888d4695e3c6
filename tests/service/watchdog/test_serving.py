"""A version that hangs or fails in flight: callers are told, another version answers, and it is said why."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import psycopg
import pytest

from service.watchdog import hang_watch
from service.worker import THREADS_A_SLOT
from tests.service.conftest import USE_CASES, FolderRegistry, Service, StartService, record_of
from tests.service.swap.test_watcher import promote, version_of, wait_for

SERVED = ("digits",)

DIGITS = USE_CASES["digits"]
BODY = {"records": [record_of(DIGITS)]}


@pytest.fixture
def broken_two(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection
) -> Iterator[Callable[[Any], None]]:
    """Serves version 2 and replaces what it answers by."""
    registry.add(DIGITS, 2)
    promote(conn, registry, 2)
    wait_for(lambda: version_of(service) == 2)

    def replace(run: Any) -> None:
        service.worker.slots["digits"].serving().predictor._runner = run

    yield replace


def refused(service: Service) -> dict[str, str]:
    found: dict[str, str] = service.get("/health").json()["use_cases"]["digits"]["refused"]
    return found


def test_a_version_that_hangs_is_given_up_and_its_callers_told(
    service: Service,
    broken_two: Callable[[Any], None],
    monkeypatch: pytest.MonkeyPatch,
    conn: psycopg.Connection,
    registry: FolderRegistry,
    start_service: StartService,
) -> None:
    monkeypatch.setattr(hang_watch, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(hang_watch, "CHECK_SECONDS", 0.1)
    # What takes long to answer is answered in a thread; a version that hangs from the first on, on the loop.
    service.worker.slots["digits"].serving().pipeline.batcher._row_seconds = 1.0
    leave = threading.Event()

    def hang(x: Any) -> Any:
        leave.wait(60)
        return np.zeros((len(x), 10), np.float32)

    broken_two(hang)
    began = time.monotonic()
    with ThreadPoolExecutor(6) as callers:
        answers: list[httpx.Response] = list(
            callers.map(lambda _: service.post("/v1/digits/predict", BODY), range(6))
        )
    assert time.monotonic() - began < 15
    assert {answer.status_code for answer in answers} == {503}
    error = answers[0].json()["error"]
    assert error["code"] == "model_hangs"
    assert "version 2 of 'digits' hangs" in error["message"]
    assert answers[0].headers["retry-after"] == "1"
    assert version_of(service) == 1
    assert "it hangs" in refused(service)["2"]
    assert service.get("/health").json()["status"] == "degraded"
    time.sleep(0.5)
    assert version_of(service) == 1
    # Another worker of this home does not try it either, until it is announced again.
    other = start_service()
    wait_for(lambda: "2" in refused(other))
    assert version_of(other) == 1
    leave.set()
    promote(conn, registry, 2)
    wait_for(lambda: version_of(other) == 2)
    wait_for(lambda: version_of(service) == 2)
    events = service.get("/v1/digits/ledger?limit=10").json()["entries"]
    assert any(one["event"] == "refused" and "hangs" in one["reason"] for one in events)


def fail(_x: Any) -> Any:
    raise RuntimeError("no answer")


@pytest.mark.parametrize(
    "broken",
    [
        lambda x: np.full((len(x), 10), np.nan, np.float32),
        lambda x: np.zeros((len(x), 9), np.float32),
        lambda x: np.zeros((len(x), 11), np.float32),
        lambda x: np.zeros((len(x) + 1, 10), np.float32),
        fail,
    ],
    ids=["nan", "narrow", "wide", "long", "raises"],
)
def test_a_version_that_fails_on_most_requests_is_given_up(
    service: Service, broken_two: Callable[[Any], None], broken: Any
) -> None:
    broken_two(broken)
    statuses: list[int] = []

    def answers() -> bool:
        statuses.append(service.post("/v1/digits/predict", BODY).status_code)
        return statuses[-1] == 200

    wait_for(answers)
    assert statuses[0] == 500
    assert version_of(service) == 1
    assert "failed on" in refused(service)["2"]


def test_a_version_that_failed_is_loaded_anew_and_its_failures_count_no_more(
    service: Service,
    broken_two: Callable[[Any], None],
    conn: psycopg.Connection,
    registry: FolderRegistry,
) -> None:
    broken_two(fail)
    wait_for(lambda: service.post("/v1/digits/predict", BODY).status_code == 200)
    assert version_of(service) == 1
    promote(conn, registry, 2)
    wait_for(lambda: version_of(service) == 2)
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        assert version_of(service) == 2
    assert refused(service) == {}


def test_a_version_that_fails_now_and_then_is_kept(
    service: Service, broken_two: Callable[[Any], None]
) -> None:
    whole = service.worker.slots["digits"].serving().predictor._runner
    calls = iter(range(10_000))

    def sometimes(x: Any) -> Any:
        return whole(x) if next(calls) % 4 else np.full((len(x), 10), np.nan, np.float32)

    broken_two(sometimes)
    statuses = [service.post("/v1/digits/predict", BODY).status_code for _ in range(60)]
    time.sleep(1.0)
    assert (statuses.count(500), statuses.count(200)) == (15, 45)
    assert service.post("/v1/digits/model", b"").status_code == 405
    assert service.get("/v1/digits/model").json()["version"] == 2
    assert refused(service) == {}


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 4.00 TiB for an array"),
        RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : std::bad_alloc"),
    ],
    ids=["numpy", "onnx"],
)
def test_a_version_is_kept_where_the_machine_lacks_memory(
    service: Service, broken_two: Callable[[Any], None], error: Exception
) -> None:
    whole = service.worker.slots["digits"].serving().predictor._runner

    def lacks(_x: Any) -> Any:
        raise error

    broken_two(lacks)
    for _ in range(30):
        answer = service.post("/v1/digits/predict", BODY)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "out_of_memory")
        assert answer.headers["retry-after"] == "5"
    time.sleep(1.0)
    assert refused(service) == {}
    broken_two(whole)
    assert version_of(service) == 2


def test_versions_that_hang_one_after_the_other_leave_threads_for_the_next(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hang_watch, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(hang_watch, "CHECK_SECONDS", 0.1)
    slot, leave = service.worker.slots["digits"], threading.Event()

    def hang(x: Any) -> Any:
        leave.wait(200)
        return np.zeros((len(x), 10), np.float32)

    try:
        for version in range(2, 2 + THREADS_A_SLOT):
            registry.add(DIGITS, version)
            promote(conn, registry, version)
            wait_for(lambda wanted=version: slot.serving().version == wanted)  # type: ignore[misc]
            slot.serving().predictor._runner = hang
            slot.serving().pipeline.batcher._row_seconds = 1.0  # answered in a thread
            assert service.post("/v1/digits/predict", BODY).json()["error"]["code"] == "model_hangs"
            wait_for(lambda: slot.serving().version == 1)
        slot.serving().pipeline.batcher._row_seconds = 1.0
        assert version_of(service) == 1
    finally:
        leave.set()
