"""What hangs and what only waits for a core; and how far behind all others a process stands."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import psutil
import pytest

from configs.settings import CHECKOUT
from flows.mirroring.following import Follower, Patience, Target, cpu_seconds, waits_for_a_core
from flows.mirroring.process import PIECE_ROWS

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="by what Linux tells of threads")
SPIN = "print('', flush=True)\nwhile True: pass"
SLEEP = "import time\nprint('', flush=True)\ntime.sleep(60)"
Start = Callable[[str], int]


@pytest.fixture
def start() -> Iterator[Start]:
    """Runs Python code in processes of their own, and ends them."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(code: str) -> int:
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=CHECKOUT, start_new_session=True
        )
        running.append(process)
        assert process.stdout is not None
        process.stdout.readline()
        return process.pid

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def follower(word: str, pid: int, *, seconds: float, computed: float) -> Follower:
    """One that has heard a word so long ago, since when the process has computed so much."""
    made = Follower("u", Target(2, 1), find_nothing, Patience(load=300.0, answer=30.0))
    made._word, made._began, made._cpu = word, monotonic() - seconds, cpu_seconds(pid) - computed
    return made


async def find_nothing() -> None:
    return None


class Sleeping(Follower):
    """Follows a process that says nothing, and tells when it ends it."""

    process: Process
    starts: asyncio.Event
    closes: asyncio.Event

    async def _start(self, *, from_now: bool) -> Process:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SLEEP, *(["from_now"] if from_now else []),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self.starts.set()
        return self.process

    async def _close(self, process: Process) -> int:
        self.closes.set()
        return await super()._close(process)


async def code_after_cancelling(times: int) -> int | None:
    """How the process of a follower ended that is cancelled, and again while it ends it."""
    follower = Sleeping("u", Target(2, 1), find_nothing, Patience())
    follower.starts, follower.closes = asyncio.Event(), asyncio.Event()
    following = asyncio.create_task(follower.follow(from_now=False))
    await follower.starts.wait()
    following.cancel()
    await follower.closes.wait()
    for _ in range(times - 1):
        following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    return follower.process.returncode


@pytest.mark.parametrize("times", [1, 2])
def test_a_process_is_ended_whenever_its_follower_is_cancelled(times: int) -> None:
    assert asyncio.run(code_after_cancelling(times)) == -signal.SIGKILL


@LINUX
def test_what_computes_waits_for_a_core_and_what_sleeps_does_not(start: Start) -> None:
    assert waits_for_a_core(start(SPIN))
    sleeping = start(SLEEP)
    until = time.monotonic() + 10
    while waits_for_a_core(sleeping) and time.monotonic() < until:
        time.sleep(0.05)
    assert not waits_for_a_core(sleeping)


@LINUX
@pytest.mark.parametrize(
    ("word", "code", "seconds", "computed", "hangs"),
    [
        ("answering", SPIN, 29, 29, False),
        ("answering", SPIN, 31, 31, True),
        ("answering", SPIN, 3000, 5, False),  # it gets no core
        ("answering", SLEEP, 31, 0, True),  # it asks for none
        ("loading", SLEEP, 31, 0, False),
        ("loading", SLEEP, 301, 0, True),
        ("reading", SLEEP, 3000, 0, False),  # that is the database
        ("fetching", SLEEP, 3000, 0, False),  # that is the registry
        ("resting", SLEEP, 3000, 0, False),
    ],
)
def test_a_version_hangs_by_its_own_doing_only(
    start: Start, word: str, code: str, seconds: float, computed: float, hangs: bool
) -> None:
    pid = start(code)
    time.sleep(0.3)
    made = follower(word, pid, seconds=seconds, computed=computed)
    assert made._hangs(pid) == hangs


@pytest.mark.parametrize(
    ("costs", "computed", "hangs"),
    [
        (0.2, 0.9, False),  # 64 records cost 13 ms; a second is never too long
        (0.2, 1.5, True),
        (1.0, 6.0, False),
        (1.0, 6.7, True),
        (100.0, 29.0, False),
        (100.0, 30.5, True),  # whatever it cost, thirty seconds are
    ],
)
def test_it_may_compute_a_hundred_times_what_it_cost_when_it_was_loaded(
    start: Start, costs: float, computed: float, hangs: bool
) -> None:
    pid = start(SLEEP)
    time.sleep(0.3)
    made = follower("answering", pid, seconds=computed, computed=computed)
    made._cost = PIECE_ROWS * costs / 1000
    assert made._hangs(pid) == hangs
    assert re.fullmatch(
        r"it (computed|took) over [\d.]+ s for at most 64 records(, which cost [\d.]+ s when it was loaded)?",
        made._what_hangs(),
    )


@LINUX
def test_it_stands_behind_all_others_in_a_session_of_its_own(start: Start) -> None:
    stood = "from flows.mirroring.priority import stand_back, limit_memory\nstand_back()\nlimit_memory()\n"
    pid = start(stood + SLEEP)
    process = psutil.Process(pid)
    assert process.nice() == 19
    assert os.sched_getscheduler(pid) == os.SCHED_IDLE
    assert Path(f"/proc/{pid}/oom_score_adj").read_text(encoding="ascii").strip() == "1000"
    autogroup = Path(f"/proc/{pid}/autogroup")
    if autogroup.exists():
        assert autogroup.read_text(encoding="ascii").split()[-1] == "19"
    assert 1024**3 <= process.rlimit(psutil.RLIMIT_DATA)[0] <= 4 * 1024**3


@LINUX
def test_a_session_that_is_shared_stays_as_it_is() -> None:
    code = (
        "from pathlib import Path\nfrom flows.mirroring.priority import stand_back\nstand_back()\n"
        "place = Path('/proc/self/autogroup')\nprint(place.read_text() if place.exists() else 'nice 0')"
    )
    child = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {code!r}], check=True)"
    said = subprocess.run(
        [sys.executable, "-c", child], cwd=CHECKOUT, capture_output=True, text=True, check=True,
        start_new_session=True,
    )  # fmt: skip
    assert said.stdout.split()[-1] == "0"


@LINUX
def test_runs_come_after_the_service_with_all_that_they_start(start: Start) -> None:
    child = (
        "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    )
    pid = start(
        f"from flows.mirroring.priority import step_behind\nstep_behind()\nstep_behind()\n{child}{SLEEP}"
    )
    process = psutil.Process(pid)
    deadline = time.monotonic() + 20
    while not (children := process.children()) and time.monotonic() < deadline:
        time.sleep(0.05)
    try:
        assert [one.nice() for one in (process, *children)] == [10, 10]
        assert [one.ionice().value for one in (process, *children)] == [7, 7]
        autogroup = Path(f"/proc/{pid}/autogroup")
        if autogroup.exists():
            assert autogroup.read_text(encoding="ascii").split()[-1] == "10"
    finally:
        for one in children:
            one.kill()
