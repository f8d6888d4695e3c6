"""What a process computes, and how one that computes on and on is held to its share of a core."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import psutil

TASKS = "/proc/{pid}/task"
RUNNABLE = ("R", "T")
"""States of a thread that computes or waits for a core only, and of one that is held here."""
TURN_SECONDS = 0.02
"""What computes on and on does so for so long at a time."""
LOOK_SECONDS = 0.25
"""Between two looks at whether it does."""


class Pace:
    """Has a process rest by stopping it, for as long as what it is at takes too much computing.

    Only on Linux, where its parent's end ends it although it is stopped.

    Args:
        pid: of the process.
        is_due: whether what it computed until now, in seconds, is so much that it is to rest.
        rests: seconds of rest for a second of computing.
    """

    def __init__(self, pid: int, is_due: Callable[[float], bool], rests: float) -> None:
        self._pid = pid
        self._is_due = is_due
        self._rests = rests
        self.rested = 0.0
        """Seconds for which it was stopped, in all."""

    async def hold(self) -> None:
        """Until cancelled, or the process is gone; it goes on then."""
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self._pid)
            computed = 0.0
            while sys.platform == "linux":
                before, computed = computed, cpu_seconds(self._pid)
                if computed == before or not self._is_due(computed):  # what waits is not held back
                    await asyncio.sleep(LOOK_SECONDS)
                    continue
                began = monotonic()
                process.send_signal(signal.SIGSTOP)
                try:
                    await asyncio.sleep(self._rests * TURN_SECONDS)
                finally:
                    process.send_signal(signal.SIGCONT)
                    self.rested += monotonic() - began
                await asyncio.sleep(TURN_SECONDS)


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
            if stat.read_text(errors="replace").rpartition(")")[2].split()[0] in RUNNABLE:
                return True
    return False
