"""A question to something that may hang, asked so that nobody who wants the answer hangs with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Probe(Generic[T]):
    """Asks in a thread of its own; all who want to know at a time share one answer.

    Args:
        ask: may block, and raises nothing.
        patience: seconds that an answer is waited for, from the question on.
    """

    def __init__(self, ask: Callable[[], T], patience: float) -> None:
        self._ask = ask
        self._patience = patience
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="probe")
        self._asked: asyncio.Future[T] | None = None
        self._since = 0.0

    async def answer(self) -> T | None:
        """The answer; None where it does not come in time."""
        loop = asyncio.get_running_loop()
        if self._asked is None or self._asked.done():
            self._asked = loop.run_in_executor(self._thread, self._ask)
            self._since = loop.time()
        asked = self._asked
        await asyncio.wait({asked}, timeout=max(0.0, self._since + self._patience - loop.time()))
        return asked.result() if asked.done() else None

    def stop(self) -> None:
        """Let the thread go."""
        self._thread.shutdown(wait=False, cancel_futures=True)
