"""One life of the process that answers by a shadow version: started, listened to, and ended when it hangs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Literal

import psutil

from configs.security.umask import OTHERS
from configs.settings import CHECKOUT
from flows.mirroring.priority import ONE_THREAD
from flows.mirroring.process import PIECE_ROWS

MODULE = "flows.mirroring.process"
TASKS = "/proc/{pid}/task"
RUNNABLE = "R"
"""State of a thread that computes, or waits for a core only."""
LISTEN_SECONDS = 0.5
"""Between two looks at how much is computed, where nothing is said."""
OWN_DOING = ("loading", "answering")
"""Words after which what happens is the version's own doing."""
Kind = Literal["moved", "busy", "away", "broken", "hangs", "ended"]


@dataclass(frozen=True)
class Target:
    """Which version is asked, and beside which."""

    version: int
    production: int | None


@dataclass(frozen=True)
class End:
    """Why the process ended; `ended`: by itself."""

    kind: Kind
    why: str = ""
    is_own_doing: bool = False
    """Whether it was the version that was at work then."""


@dataclass(frozen=True)
class Patience:
    """Seconds that things may take."""

    load: float = 300.0
    answer: float = 30.0
    """For `PIECE_ROWS` records, of whatever it waits for, and at most of computing."""
    times: float = 100.0
    """Of computing: so many times what as many records cost when it was loaded."""
    least: float = 1.0
    """Of computing: so much is never too long."""
    look: float = 5.0
    """Between two looks at which version the alias names."""


class Follower:
    """Starts the process and listens to it.

    Args:
        find_target: which version is to be asked; None where it cannot be told now.
    """

    def __init__(
        self,
        use_case: str,
        target: Target,
        find_target: Callable[[], Awaitable[tuple[Target | None] | None]],
        patience: Patience,
    ) -> None:
        self._use_case = use_case
        self._target = target
        self._find_target = find_target
        self._patience = patience
        self._word = "starting"
        self._began = self._looked = monotonic()
        self._cpu = 0.0
        self._cost: float | None = None
        """Seconds of computing for `PIECE_ROWS` records, by what one cost when the version was loaded."""
        self._end: End | None = None
        self._failure = ""
        """What it said of its own end."""

    async def follow(self, *, from_now: bool) -> End:
        """Until the process has ended; cancelled, it is ended."""
        process = await self._start(from_now=from_now)
        try:
            while process.returncode is None and self._end is None:
                await self._listen(process)
                if self._hangs(process.pid):
                    self._end = End("hangs", self._what_hangs(), is_own_doing=True)
                elif monotonic() - self._looked > self._patience.look:
                    self._looked = monotonic()
                    found = await self._find_target()
                    if found is not None and found[0] != self._target:
                        self._end = End("moved")
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            code = await _to_its_end(self._close(process))
        return self._end or End("ended", self._failure or _how(code), self._word in OWN_DOING)

    async def _start(self, *, from_now: bool) -> Process:
        """Its errors go nowhere: of a version that breaks on each record, runtimes write a line for each."""
        version, production = self._target.version, self._target.production or 0
        words = [self._use_case, str(version), str(production), str(os.getpid())]
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", MODULE, *words, *(["from_now"] if from_now else []),
            env={**os.environ, **ONE_THREAD}, cwd=CHECKOUT, stdin=PIPE, stdout=PIPE, stderr=DEVNULL,
            start_new_session=True, umask=OTHERS,
        )  # fmt: skip

    async def _close(self, process: Process) -> int:
        """Wait for the end of a process that was ended, and of its pipes; returns its exit code."""
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        code = await process.wait()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.stdout.read(), 1.0)
        return code

    async def _listen(self, process: Process) -> None:
        """Hear the next word, or wait a moment for it."""
        assert process.stdout is not None
        try:
            line = await asyncio.wait_for(process.stdout.readline(), LISTEN_SECONDS)
        except TimeoutError:
            return
        if not line:
            await process.wait()
            return
        word, _, rest = line.decode(errors="replace").strip().partition(" ")
        if word == "busy":
            self._end = End("busy")
        elif word == "away":
            self._end = End("away", rest)
        elif word == "broken":
            self._end = End("broken", rest, is_own_doing=True)
        elif word == "failed":
            self._failure = rest
        elif word == "costs":
            self._cost = PIECE_ROWS * float(rest) / 1000
        else:
            self._word, self._began, self._cpu = word, monotonic(), cpu_seconds(process.pid)

    def _hangs(self, pid: int) -> bool:
        """Whether the version takes too long by its own doing: not for want of a core, which it gets last."""
        if self._word not in OWN_DOING:
            return False
        computed = cpu_seconds(pid) - self._cpu
        if computed >= self._most_computing:
            return True
        return monotonic() - self._began >= self._limit and not waits_for_a_core(pid)

    @property
    def _limit(self) -> float:
        return self._patience.load if self._word == "loading" else self._patience.answer

    @property
    def _most_computing(self) -> float:
        """Seconds of computing from which on it hangs; callers notice a busy core."""
        if self._word == "loading" or self._cost is None:
            return self._limit
        return min(self._limit, max(self._patience.least, self._patience.times * self._cost))

    def _what_hangs(self) -> str:
        if self._word == "loading":
            return f"it took over {self._limit:g} s to load"
        told = f"for at most {PIECE_ROWS} records"
        if self._cost is None or self._most_computing == self._limit:
            return f"it took over {self._limit:g} s {told}"
        most, cost = self._most_computing, self._cost
        return f"it computed over {most:.2g} s {told}, which cost {cost:.2g} s when it was loaded"


async def _to_its_end(work: Coroutine[Any, Any, int]) -> int:
    """Do the work; cancelled meanwhile, do it and be cancelled then."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


def cpu_seconds(pid: int) -> float:
    """What a process has computed; 0 where it is gone."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def waits_for_a_core(pid: int) -> bool:
    """Whether any thread of a process computes or would, had it a core; off Linux that is not known."""
    tasks = Path(TASKS.format(pid=pid))
    if not tasks.is_dir():
        return False
    for stat in tasks.glob("*/stat"):
        with contextlib.suppress(OSError):  # the thread has ended
            if stat.read_text(errors="replace").rpartition(")")[2].split()[0] == RUNNABLE:
                return True
    return False


def _how(code: int) -> str:
    """How a process ended, from its exit code.

    >>> _how(-11), _how(1)
    ('killed by SIGSEGV', 'exit code 1')
    """
    if code >= 0:
        return f"exit code {code}"
    return f"killed by {signal.Signals(-code).name}"
