"""Blocking work of the routes, off the event loop: Starlette's `run_in_threadpool`, in threads of our own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class ThreadPool:
    """Threads in which one event loop has blocking work done."""

    loop: asyncio.AbstractEventLoop
    executor: Executor

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        """What `work(*args)` returns, or raises."""
        return await self.loop.run_in_executor(self.executor, work, *args)
