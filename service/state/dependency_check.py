"""Checks one dependency that may hang, so that whoever waits for the result does not hang with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class DependencyCheck(Generic[T]):
    """Runs a check in a thread of its own, one at a time; all who wait meanwhile share its result.

    Args:
        check: may block, and raises nothing.
        seconds: how long a result is waited for, from the start of the check.
    """

    def __init__(self, check: Callable[[], T], seconds: float) -> None:
        self._check = check
        self._seconds = seconds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="dependency")
        self._running: asyncio.Future[T] | None = None
        self._started_at = 0.0

    async def result(self) -> T | None:
        """The result of the check; None where it is not there in time."""
        loop = asyncio.get_running_loop()
        if self._running is None or self._running.done():
            self._running = loop.run_in_executor(self._thread, self._check)
            self._started_at = loop.time()
        check = self._running
        await asyncio.wait({check}, timeout=max(0.0, self._started_at + self._seconds - loop.time()))
        return check.result() if check.done() else None

    def stop(self) -> None:
        """End the thread; a check that hangs is not waited for."""
        self._thread.shutdown(wait=False, cancel_futures=True)
