"""Waiting for predictions that are in the log of some worker still: it holds no thread.

Whoever sends ids that nobody has given would else keep everybody from the threads in which labels are stored.
"""

from __future__ import annotations

from asyncio import sleep
from collections.abc import Callable
from enum import Enum, auto
from typing import TypeVar

from service.storage.threadpool import ThreadPool

JOURNAL_SECONDS = 2.0
"""How long a caller waits for a prediction to come out of the journal of another worker."""
_FIRST_PAUSE, _MOST_PAUSE = 0.05, 0.4
"""Seconds between two looks."""

T = TypeVar("T")


class Look(Enum):
    """Which look for predictions it is."""

    FIRST = auto()
    """Where some are missing, the journals of all workers are asked to be stored."""
    AGAIN = auto()
    LAST = auto()
    """What is missing then is unknown."""


class NotStoredYet(Exception):
    """A prediction is missing that may be in a journal; not raised at the last look."""


async def once_stored(threads: ThreadPool, work: Callable[[Look], T]) -> T:
    """What `work` returns, once the predictions that it needs are stored, or were waited for long enough.

    Args:
        work: blocks, and runs in a thread; raises `NotStoredYet` to be called again.
    """
    try:
        return await threads.run(work, Look.FIRST)
    except NotStoredYet:
        deadline, pause = threads.loop.time() + JOURNAL_SECONDS, _FIRST_PAUSE
    while threads.loop.time() + pause < deadline:
        await sleep(pause)
        try:
            return await threads.run(work, Look.AGAIN)
        except NotStoredYet:
            pause = min(2 * pause, _MOST_PAUSE)
    await sleep(deadline - threads.loop.time())
    return await threads.run(work, Look.LAST)
