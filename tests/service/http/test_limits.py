"""What is too much, too slow or too many is refused, and the rest goes on."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import psycopg
import pytest

from configs.security.origins import OriginPolicy
from service.errors import Overloaded
from service.http.admission import HELD, Admission
from service.http.front import Front
from tests.service.conftest import USE_CASES, FolderRegistry, Service, StartService, record_of

PLANS = USE_CASES["plans"]
BODY = {"records": [record_of(PLANS)]}


def test_so_many_requests_and_bytes_are_in_hand() -> None:
    admission = Admission(2, 100)
    admission.most_bytes = 1000
    first: dict[str, Any] = {}
    second: dict[str, Any] = {}
    admission.enter()
    admission.enter()
    with pytest.raises(Overloaded, match="2 requests are in hand already; allowed: 2"):
        admission.enter()
    admission.hold(first, 600)
    admission.hold(first, 300)
    with pytest.raises(Overloaded, match="900 bytes of bodies are in hand already; allowed: 1000"):
        admission.hold(second, 200)
    admission.leave(first)
    assert (admission.bytes, admission.in_flight) == (0, 1)
    assert HELD not in first
    admission.hold(second, 5000)  # alone, whatever its size
    admission.leave(second)
    assert (admission.bytes, admission.in_flight) == (0, 0)


def test_a_body_that_makes_room_lets_another_in() -> None:
    admission = Admission(2, 100)
    admission.most_bytes = 1000
    asked: list[tuple[str, int]] = []

    def relieve(address: str, room: int, error: Overloaded) -> bool:
        assert "bytes of bodies are in hand already" in error.message
        asked.append((address, room))
        return len(asked) == 1

    admission.relieve = relieve
    admission.hold({}, 900)
    admission.ensure_room({"client": ("10.0.0.1", 1)}, 200)
    assert admission.bytes == 900
    with pytest.raises(Overloaded):
        admission.hold({"client": None}, 200)
    assert asked == [("10.0.0.1", 1000), ("", 1000)]


@pytest.fixture
def plans(start_service: StartService, registry: FolderRegistry) -> Service:
    """A worker that has two requests in hand at most."""
    registry.add(PLANS, 1)
    registry.production["plans"] = 1
    return start_service(RATCHET_USE_CASES="plans", RATCHET_MAX_IN_FLIGHT="2")


def test_what_is_beyond_the_bound_comes_later_and_health_still_answers(plans: Service) -> None:
    async def many() -> list[Any]:
        calls = [plans.client.post("/v1/plans/predict", json=BODY) for _ in range(6)]
        *answers, health = await asyncio.gather(*calls, plans.client.get("/health"))
        assert health.status_code == 200
        return answers

    answers = plans.run(many())
    assert sorted(answer.status_code for answer in answers) == [200, 200, 503, 503, 503, 503]
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert refused.json()["error"]["code"] == "overloaded"
    assert int(refused.headers["retry-after"]) >= 1
    assert plans.post("/v1/plans/predict", BODY).status_code == 200
    assert plans.worker.parts.admission.in_flight == 0


def test_nothing_stays_in_hand_whatever_becomes_of_a_request(plans: Service) -> None:
    big = orjson.dumps({"records": [{"x": "y" * 200_000}]})
    for body in (big, b"[", b"x" * 20_000_000):
        assert plans.post("/v1/plans/predict", body).status_code in (400, 413, 422)
    for method, path in (
        ("GET", "/v1/plans/predict"),
        ("GET", "/v1/plans/predictions/x"),
        ("GET", "/nowhere"),
    ):
        assert plans.get(path, method).status_code in (404, 405)
    assert (plans.worker.parts.admission.in_flight, plans.worker.parts.admission.bytes) == (0, 0)


def test_a_body_of_unknown_length_is_counted_as_it_comes(plans: Service) -> None:
    seen: list[int] = []

    async def parts() -> Any:
        yield b'{"records": ['
        for _ in range(5):
            yield b" " * 1_000_000
            seen.append(plans.worker.parts.admission.bytes)
        yield b"]}"

    call = plans.client.post(
        "/v1/plans/predict", content=parts(), headers={"content-type": "application/json"}
    )
    assert plans.run(call).status_code == 422
    assert plans.worker.parts.admission.bytes == 0


def test_a_full_queue_is_told_before_the_body_is_read(
    plans: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    batcher = plans.worker.slots["plans"].pipeline().batcher
    batcher._room = 0  # as if the model were too slow for anything
    monkeypatch.setattr("service.answers.batcher.LEAST_REQUESTS", 0)
    refused = plans.post("/v1/plans/predict", b"this is not even JSON")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
    assert plans.post("/v1/plans/feedback", {"items": []}).status_code == 422


def test_a_refusal_is_known_before_it_costs_anything(plans: Service) -> None:
    front = Front(None, lambda: plans.worker.routes, lambda _path: False, OriginPolicy())  # type: ignore[arg-type]
    front._lookup("/health")

    async def refuses(method: str, path: str) -> Overloaded | None:
        return front.refuses(method, path)

    front.pressed = Overloaded(2, 2)
    plans.worker.parts.admission.in_flight = 2
    assert plans.run(refuses("POST", "/v1/plans/predict")) is front.pressed
    for method, path in (("GET", "/health"), ("GET", "/v1/plans/predict"), ("POST", "/nowhere")):
        assert plans.run(refuses(method, path)) is None
    assert front.pressed is not None
    plans.worker.parts.admission.in_flight = 0
    assert plans.run(refuses("POST", "/v1/plans/predict")) is None
    assert front.pressed is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/docs.json"),
        ("GET", "/v1/plans/predictions/x"),
        ("POST", "/v1/plans/feedback"),
        ("POST", "/predict"),
    ],
)
def test_who_is_slow_to_read_takes_nobodys_place(plans: Service, method: str, path: str) -> None:
    reads = asyncio.Event()

    async def ask() -> None:
        async def send(_message: Any) -> None:
            await reads.wait()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"{}", "more_body": False}

        async def app(_scope: Any, _receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})

        front = Front(app, lambda: plans.worker.routes, lambda path: path == "/predict", OriginPolicy())
        scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": [],
            "server": None,
        }
        asked = [asyncio.create_task(front(dict(scope), receive, send)) for _ in range(2)]
        await asyncio.sleep(0.5)
        assert not any(one.done() for one in asked)
        assert plans.worker.parts.admission.in_flight == 0
        reads.set()
        await asyncio.gather(*asked)

    plans.run(ask())
    assert plans.worker.parts.admission.in_flight == 0


def test_only_so_many_jobs_wait(
    start_service: StartService, registry: FolderRegistry, conn: psycopg.Connection
) -> None:
    registry.add(PLANS, 1)
    registry.production["plans"] = 1
    service = start_service(RATCHET_USE_CASES="plans")
    service.worker.job_loop.stop(10)
    most = 3
    service.worker.parts.jobs["plans"]._max_pending = most
    for _ in range(most):
        assert service.post("/v1/plans/predictions", BODY).status_code == 202
    first = service.post("/v1/plans/predictions", BODY, idempotency_key="again")
    assert (first.status_code, first.json()["error"]["code"]) == (503, "overloaded")
    assert "`serving.max_pending_jobs`" in first.json()["error"]["message"]
    assert int(first.headers["retry-after"]) >= 1
    assert conn.execute("SELECT count(*) FROM job").fetchone() == (most,)
    conn.execute("UPDATE job SET state = 'done'")
    conn.commit()
    assert service.post("/v1/plans/predictions", BODY, idempotency_key="again").status_code == 202
