"""Whose pictures are decoded when: few at once, one use case after the other, and none that nobody waits for.

A picture takes up to seconds. So requests that may hold some are read in threads of their own, in which no
use case takes the place of another; those of callers who hung up before their turn are not read.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Executor
from time import perf_counter
from typing import Any, TypeVar

from service.errors import Overloaded
from service.http.exchange import ClientGone, Receive, hung_up
from service.watchdog.lost_threads import ReplacingPool

LEAST_WAITING = 32
"""So many requests of one use case may wait, however long their pictures take."""
PATIENCE_SECONDS = 5.0
"""Beyond those no more than can be read in this time, by what those before took."""
MOST_WAITING = 256
SMOOTHING = 0.2

T = TypeVar("T")


class Decoding:
    """The threads that decode pictures in one worker, and the turns that use cases take; of one event loop.

    Args:
        at_once: requests that are read at the same time; one core is left to everything else.
    """

    def __init__(self, at_once: int | None = None) -> None:
        self.at_once = at_once or max(1, (os.cpu_count() or 1) - 1)
        self.turns = asyncio.Semaphore(self.at_once)
        self.executor: Executor = ReplacingPool(self.at_once, thread_name_prefix="pictures")
        self._lanes: dict[str, Lane] = {}

    def lane(self, use_case: str) -> Lane:
        """Where the requests for a use case wait."""
        if use_case not in self._lanes:
            self._lanes[use_case] = Lane(self)
        return self._lanes[use_case]

    def stop(self) -> None:
        """Begin nothing more."""
        self.executor.shutdown(wait=False, cancel_futures=True)


class Lane:
    """Requests of one use case that may hold pictures, in the order in which they came."""

    def __init__(self, decoding: Decoding) -> None:
        self._decoding = decoding
        # No more than every second place: else the next of another use case would wait for all of these.
        self._turns = asyncio.Semaphore(max(1, decoding.at_once // 2))
        self._seconds = 0.0
        """What a request takes, by those that were read."""
        self.waiting = 0
        """Requests that came and are not read yet."""

    @property
    def is_full(self) -> bool:
        """Whether requests should be refused before they are read."""
        return self.waiting >= self.room

    @property
    def room(self) -> int:
        """How many may wait now."""
        soon = MOST_WAITING if not self._seconds else int(PATIENCE_SECONDS / self._seconds)
        return min(MOST_WAITING, max(LEAST_WAITING, soon))

    def ensure_room(self) -> None:
        """See to it that one more may wait.

        Raises:
            Overloaded: too many do.
        """
        if self.is_full:
            raise Overloaded(
                self.waiting, self.room, "requests already wait for their pictures to be decoded"
            )

    async def run(self, receive: Receive | None, work: Callable[..., T], *args: Any) -> T:
        """What `work(*args)` returns, or raises, in a thread once it is this request's turn.

        Args:
            receive: of the request, whose body has come; None where nobody can hang up.

        Raises:
            Overloaded: too many wait.
            ClientGone: the caller hung up before it was done.
        """
        self.ensure_room()
        self.waiting += 1
        done = asyncio.ensure_future(self._in_turn(work, *args))
        gone = asyncio.ensure_future(_never() if receive is None else hung_up(receive))
        try:
            await asyncio.wait((done, gone), return_when=asyncio.FIRST_COMPLETED)
            if not done.done():
                raise ClientGone
            return done.result()
        finally:
            self.waiting -= 1
            gone.cancel()
            done.cancel()

    async def _in_turn(self, work: Callable[..., T], *args: Any) -> T:
        async with self._turns, self._decoding.turns:
            running = asyncio.get_running_loop().run_in_executor(
                self._decoding.executor, self._timed, work, *args
            )
            try:
                return await asyncio.shield(running)
            except asyncio.CancelledError:  # what runs takes its place until it has ended
                await asyncio.wait((running,))
                if not running.cancelled():
                    running.exception()
                raise

    def _timed(self, work: Callable[..., T], *args: Any) -> T:
        started = perf_counter()
        try:
            return work(*args)
        finally:
            self._seconds += SMOOTHING * (perf_counter() - started - self._seconds)


async def _never() -> None:
    await asyncio.Event().wait()
