"""What computes on and on is held to its share of a core, and what waits is not held."""

from __future__ import annotations

import asyncio
import sys
import time

import psutil
import pytest

from flows.mirroring.pacing import Pace, cpu_seconds
from tests.flows.mirroring.conftest import SLEEP, SPIN, Start

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux a process is held")
SECONDS = 3.0


def pace(pid: int, free: float, rests: float = 3.0, seconds: float = SECONDS) -> Pace:
    """One that held a process for so long, where it computed more than what is free."""
    made = Pace(pid, lambda computed: computed > free, rests)

    async def hold() -> None:
        task = asyncio.create_task(made.hold())
        await asyncio.sleep(seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(hold())
    return made


def test_what_computes_on_and_on_gets_a_quarter_of_a_core_at_most(start: Start) -> None:
    pid = start(SPIN)
    before = cpu_seconds(pid)
    held = pace(pid, free=0.0)
    assert 0.0 < cpu_seconds(pid) - before < 0.4 * SECONDS
    assert held.rested > 0.5 * SECONDS


def test_it_goes_on_when_it_is_held_no_more(start: Start) -> None:
    pid = start(SPIN)
    pace(pid, free=0.0, seconds=0.5)
    before, until = cpu_seconds(pid), time.monotonic() + 10
    while cpu_seconds(pid) - before < 0.2:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert psutil.Process(pid).status() != psutil.STATUS_STOPPED


@pytest.mark.parametrize(("code", "free"), [(SLEEP, 0.0), (SPIN, 60.0)], ids=["waits", "within what is free"])
def test_nothing_else_is_held(start: Start, code: str, free: float) -> None:
    pid = start(code)
    time.sleep(0.2)  # what it computed to come up is over
    assert pace(pid, free, seconds=1.5).rested < 0.2


def test_a_process_that_is_gone_is_nothing_to_hold(start: Start) -> None:
    pid = start(SLEEP)
    psutil.Process(pid).kill()
    assert pace(pid, free=0.0, seconds=0.6).rested < 0.2
