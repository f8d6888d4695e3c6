"""What the overload benchmark concludes from numbers that are known, and its client."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import uvloop

from benchmarks.bench_overload import Numbers, Observations, judge, recovery
from benchmarks.harness.load import Plan
from benchmarks.harness.open_loop import OpenOutcome, OpenPlan, OpenRun

OUTCOME = OpenOutcome(
    due=24_000, not_sent=0, statuses={"200": 6000, "503": 18_000}, without_retry_after=0, goodput=[100] * 60,
    p50_ms=200, p99_ms=500, connections=300, client_cpu=0.4, slices=[],
)  # fmt: skip
OBSERVATIONS = Observations([0.1] * 60, [], [(float(second), 200.0) for second in range(60)])
GOOD = Numbers(16, 100.0, 400.0, 60, 2.0, 0.5, [], OUTCOME, OBSERVATIONS)


def missed(numbers: Numbers) -> list[str]:
    return [target.name for target in judge(numbers, 4.0) if not target.met]


def test_a_good_run_meets_every_target() -> None:
    assert missed(GOOD) == []


@pytest.mark.parametrize(
    ("numbers", "name"),
    [
        (replace(GOOD, outcome=replace(OUTCOME, goodput=[79] * 60)), "answers a second under overload"),
        (replace(GOOD, outcome=replace(OUTCOME, not_sent=6000)), "requests sent"),
        (replace(GOOD, outcome=replace(OUTCOME, statuses={"200": 1, "500": 1})), "answered otherwise"),
        (replace(GOOD, outcome=replace(OUTCOME, without_retry_after=1)), "refused without"),
        (
            replace(GOOD, watched=Observations([0.1], ["503"], OBSERVATIONS.resident_mb)),
            "/health not answered",
        ),
        (replace(GOOD, watched=Observations([3.0], [], OBSERVATIONS.resident_mb)), "slowest /health"),
        (
            replace(GOOD, watched=Observations([0.1], [], [(float(s), 200.0 + 4 * s) for s in range(60)])),
            "memory at the end",
        ),
        (replace(GOOD, recovered_seconds=2.25), "a lone caller"),
    ],
)
def test_each_target_can_be_missed(numbers: Numbers, name: str) -> None:
    (target_name,) = missed(numbers)
    assert target_name.startswith(name)


def test_recovery_is_when_the_last_slow_window_ends() -> None:
    steady = [(step / 100, 2.0) for step in range(500)]
    assert recovery(steady, 2.0) == 0.0
    slow_at_first = [(at, 9.0 if at < 0.7 else 2.0) for at, _ in steady]
    assert recovery(slow_at_first, 2.0) == 0.75
    refused = [(at, float("inf") if at < 1.0 else 2.0) for at, _ in steady]
    assert recovery(refused, 2.0) == 1.0
    assert math.isinf(recovery([(at, 9.0) for at, _ in steady], 2.0))


def test_requests_leave_by_the_clock_whatever_the_answers() -> None:
    import asyncio

    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        turn = 0
        while await reader.readuntil(b"{}"):
            turn += 1
            await asyncio.sleep(0.05)
            head = b"HTTP/1.1 200 OK\r\n" if turn % 2 else b"HTTP/1.1 503 Busy\r\n"
            writer.write(head + b"content-length: 2\r\n\r\n{}")

    async def main() -> OpenOutcome:
        listening = await asyncio.start_server(server, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        outcome = await OpenRun(OpenPlan(Plan(port, "/", ["{}"], 50, 1.0), rate=200)).go()
        listening.close()
        return outcome

    outcome = uvloop.run(main())
    assert 150 <= outcome.due <= 200
    assert outcome.not_sent == 0
    assert set(outcome.statuses) == {"200", "503"}
    assert sum(outcome.statuses.values()) == outcome.due
    assert outcome.without_retry_after == outcome.statuses["503"]
    assert 5 <= outcome.connections <= 50
