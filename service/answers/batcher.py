"""Adaptive batching that never waits: run at once when idle, collect while busy.

Requests that arrive in the same turn of the event loop, or while a batch runs, form the next
batch. A batch holds whole requests. Cheap batches run on the loop, where nothing has to change hands;
those measured to take longer run in a thread, so that the loop goes on reading and answering.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from time import perf_counter
from typing import Generic, Protocol, TypeAlias, TypeVar

from models.passing_faults import lacks_memory
from service.errors import OutOfMemory, Overloaded, ServiceError

INLINE_SECONDS = 0.0005
"""A batch expected to take longer than this runs in a thread."""
SMOOTHING = 0.2
MOST_RISE = 2.0
"""A batch that takes more than so many times what is usual was held up, as by others who compute: a few such
do not send all that follow through a thread, which would cost more still."""
PATIENCE_SECONDS = 0.5
"""More than the model answers in this time should not wait for it."""
LEAST_REQUESTS = 32
"""So many may wait however slow the model is: callers who ask one thing after the other are no flood."""

log = logging.getLogger("ratchet.service")


class Sized(Protocol):
    """A request of some records."""

    count: int


Q = TypeVar("Q", bound=Sized)
A = TypeVar("A")
Asked = TypeVar("Asked", bound=Sized, contravariant=True)
Answered = TypeVar("Answered", covariant=True)
Result = TypeVar("Result", contravariant=True)


class Waiter(Protocol[Result]):
    """Who is told what came of a request, as a future is; on the event loop."""

    def done(self) -> bool:
        """Whether it waits no more."""

    def set_result(self, result: Result, /) -> None:
        """What it waits for."""

    def set_exception(self, error: Exception, /) -> None:
        """Why there will be none."""


Entry: TypeAlias = tuple[Q, Waiter[A]]
Batch: TypeAlias = list[Entry[Q, A]]


class Answerer(Protocol[Asked, Answered]):
    """What answers the batches."""

    def answer(self, requests: Sequence[Asked]) -> Sequence[Answered]:
        """One result each, in order; called by one thread at a time."""

    def failure(self) -> ServiceError:
        """What a caller is told when `answer` breaks on its request alone."""


class Batcher(Generic[Q, A]):
    """Joins the requests for one version of a model; used from one event loop.

    Args:
        max_rows: most records in a batch of several requests.
        max_waiting: records that may wait; more are refused.
        inline: whether cheap batches run on the loop; if not, one that hangs holds up nobody else.
    """

    def __init__(
        self,
        executor: Executor,
        loop: asyncio.AbstractEventLoop,
        *,
        max_rows: int,
        max_waiting: int,
        inline: bool = True,
    ) -> None:
        self._executor = executor
        # Whose batcher this is. Held while it is busy only: else neither would be freed without the
        # garbage collector when a version has served its time.
        self._answerer: Answerer[Q, A] | None = None
        self._max_rows = max_rows
        self._inline = inline
        self._max_waiting = max_waiting
        self._loop = loop
        self._pending: deque[Entry[Q, A]] = deque()
        self._busy = False
        self._waiting = 0
        self._row_seconds = 0.0
        self._room = max_waiting
        self._pace = 0.0
        self._taken_at = 0.0
        self._taken_rows = 0
        self._running: Batch[Q, A] = []
        self._abandoned: ServiceError | None = None
        self.batches = 0
        """How many have run."""
        # Batches are taken on the loop and in the thread; requests come in on the loop.
        self._guard = threading.Lock()

    @property
    def waiting(self) -> int:
        """Records that wait for the model."""
        return self._waiting

    def seconds_for(self, rows: int) -> float:
        """How long a batch of so many records takes, by those that have run; 0 before the first."""
        return self._row_seconds * rows

    @property
    def running_seconds(self) -> float:
        """How long the batch has run that a thread has in hand; 0 where none has."""
        return perf_counter() - self._taken_at if self._running else 0.0

    @property
    def is_full(self) -> bool:
        """Whether more waits than can be answered soon: requests should be refused before they are read."""
        return self._waiting >= self._room and len(self._pending) >= LEAST_REQUESTS

    def refusal(self) -> Overloaded:
        """What a caller is told then."""
        return Overloaded(self._waiting, self._room)

    def submit(self, request: Q, answerer: Answerer[Q, A]) -> asyncio.Future[A]:
        """Add a request to the next batch; raises as `add`."""
        future: asyncio.Future[A] = self._loop.create_future()
        self.add(request, answerer, future)
        return future

    def add(self, request: Q, answerer: Answerer[Q, A], waiter: Waiter[A], *, alone: bool = False) -> None:
        """Add a request to the next batch, and tell a waiter what comes of it, once the batch has run.

        Args:
            answerer: answers the batch; one and the same in all calls.
            waiter: raises nothing, as others wait behind it.
            alone: nobody else is asking, so there is nobody to share a batch with: where nothing runs, and
                the request is one that the loop may answer, it is answered before this returns.

        Raises:
            Overloaded: too many records wait already.
            ServiceError: the version was abandoned.
        """
        if self._abandoned is not None:
            raise self._abandoned
        if alone and not self._busy and self._is_cheap(request.count):
            self._deliver([(request, waiter)], self._run(answerer, [request], request.count))
            return
        waiting = self._waiting
        if waiting and waiting + request.count > self._max_waiting:
            raise Overloaded(waiting, self._max_waiting)
        with self._guard:
            self._pending.append((request, waiter))
            self._waiting += request.count
            self._answerer = answerer
            idle, self._busy = not self._busy, True
        if idle:
            # Not now but after the callbacks already due: requests read in this turn share the batch.
            self._loop.call_soon(self._next)

    def abandon(self, error: ServiceError) -> None:
        """Tell all who wait, and all who come later, that no answer will come; for a version that hangs."""
        self._abandoned = error
        with self._guard:
            waiting = [*self._running, *self._pending]
            self._pending.clear()
            self._waiting = 0
        for _, waiter in waiting:
            if not waiter.done():
                waiter.set_exception(error)

    def _next(self) -> None:
        taken = self._take()
        if taken is None:
            return
        batch, rows = taken
        if self._is_cheap(rows):
            self._deliver(batch, self._run_batch(batch, rows))
            if self._pending:
                self._loop.call_soon(self._next)
            else:  # idle again; requests come in on the loop, so none has come meanwhile
                self._take()
        else:
            self._executor.submit(self._run_elsewhere, batch, rows)

    def _run_elsewhere(self, batch: Batch[Q, A], rows: int) -> None:
        """Run this batch and those that gathered meanwhile, without a detour over the loop."""
        while True:
            self._loop.call_soon_threadsafe(self._deliver, batch, self._run_batch(batch, rows))
            taken = self._take()
            if taken is None:
                return
            batch, rows = taken

    def _take(self) -> tuple[Batch[Q, A], int] | None:
        """The next batch, of whole requests; None, and idle again, when nothing waits."""
        with self._guard:
            pending = self._pending
            if not pending:
                self._busy = False
                self._answerer = None
                self._taken_rows = 0
                self._running = []
                return None
            batch = [pending.popleft()]
            rows = batch[0][0].count
            while pending and rows + pending[0][0].count <= self._max_rows:
                batch.append(pending.popleft())
                rows += batch[-1][0].count
            self._waiting -= rows
            now = perf_counter()
            if 2 * self._taken_rows >= self._max_rows:
                self._keep_pace(now - self._taken_at)
            self._taken_at, self._taken_rows = now, rows
            self._running = batch
            return batch, rows

    def _keep_pace(self, seconds: float) -> None:
        """Learn how much may wait: from large batches only, which are taken when there is much to do.

        The pace of small ones says little of it, for most of their time does not depend on their size.
        """
        pace = self._taken_rows / seconds
        self._pace += SMOOTHING * (pace - self._pace) if self._pace else pace
        self._room = min(self._max_waiting, int(self._pace * PATIENCE_SECONDS))

    def _is_cheap(self, rows: int) -> bool:
        """Whether a batch of so many records may run on the loop."""
        return self._inline and self._row_seconds * rows <= INLINE_SECONDS

    def _run_batch(self, batch: Batch[Q, A], rows: int) -> list[A | ServiceError]:
        answerer = self._answerer
        assert answerer is not None  # it is, while there is a batch
        return self._run(answerer, [request for request, _ in batch], rows)

    def _run(self, answerer: Answerer[Q, A], requests: list[Q], rows: int) -> list[A | ServiceError]:
        started = perf_counter()
        self.batches += 1
        results = settle(answerer.answer, answerer.failure, requests)
        seconds, usual = (perf_counter() - started) / rows, self._row_seconds
        self._row_seconds += SMOOTHING * ((min(seconds, MOST_RISE * usual) if usual else seconds) - usual)
        return results

    def _deliver(self, batch: Batch[Q, A], results: list[A | ServiceError]) -> None:
        for (_, waiter), result in zip(batch, results, strict=True):
            if waiter.done():  # its caller has gone
                continue
            if isinstance(result, ServiceError):
                waiter.set_exception(result)
            else:
                waiter.set_result(result)


def settle(
    answer: Callable[[Sequence[Q]], Sequence[A]], failure: Callable[[], ServiceError], requests: Sequence[Q]
) -> list[A | ServiceError]:
    """A result or an error for each; one that breaks the model does not break its neighbours."""
    try:
        return list(answer(requests))
    except ServiceError as error:
        return [error] * len(requests)
    except Exception as error:
        if len(requests) == 1 and lacks_memory(error):
            log.warning("there is no memory to answer a request", exc_info=error)
            return [OutOfMemory()]
        if len(requests) == 1:
            log.exception("a model failed on a request that its contract allows")
            return [failure()]
    return [result for request in requests for result in settle(answer, failure, [request])]
