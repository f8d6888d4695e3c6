"""Processes that fit for a replay: the most urgent first, each on a core, and gone when their parent is.

They import what fits need, and not what decides.
"""

from __future__ import annotations

import heapq
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Future, ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import count
from multiprocessing.connection import Connection
from typing import Any, Protocol

import psutil

from features.pretrained.keeping import vectors_kept
from flows.compute.local import end_with_parent
from flows.replay.fits import FitStore, Wanted
from flows.replay.incremental import play_incremental
from flows.replay.plan import Plan
from flows.replay.playing import Played, Stage
from flows.replay.versions import Versions
from models.errors import TrainingError

SOON, LATER, LAST = 0.0, 1.0, 2.0
"""How urgent work is: what somebody waits for, what takes longest, and what may be done at any time."""
_Waiting = tuple[float, int, Future[Any], Callable[[], Any]]


class Submits(Protocol):
    """What work is handed to: processes of this machine, or who sends it elsewhere."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        """Have a function called."""
        ...


class Workers:
    """Gives work to processes, as many pieces at a time as there are processes, each piece on a core.

    Args:
        pool: the processes.
        cores: for each process one to work on; None: on any.
    """

    def __init__(self, pool: Submits, cores: Sequence[int | None]) -> None:
        self._pool = pool
        self._free = list(cores)
        self._waiting: list[_Waiting] = []
        self._numbers = count()
        self._fits: dict[str, Future[None]] = {}
        self._lock = threading.Lock()
        self._ordering = threading.Lock()
        self._is_starting = False
        self._given_up: BaseException | None = None

    def submit(self, urgency: float, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Have something done; of what is as urgent the earlier one goes first."""
        promised: Future[Any] = Future()
        with self._lock:
            given_up = self._given_up
            if given_up is None:
                work: _Waiting = (urgency, next(self._numbers), promised, partial(function, *arguments))
                heapq.heappush(self._waiting, work)
        if given_up is not None:
            _tell(promised, given_up)
        self._start()
        return promised

    def learner(self, name: str) -> Future[Played]:
        """Have a model played that learns row by row."""
        return self.submit(LATER, _play_incremental, name)

    def fit(self, loop: str, key: str, wanted: Wanted, urgency: float = LAST) -> Future[None]:
        """Have a fit made by the configuration of a loop; one that is under way is not begun again."""
        with self._ordering:
            if key not in self._fits:
                self._fits[key] = self.order_fit(loop, key, wanted, urgency)
            return self._fits[key]

    def order_fit(self, loop: str, key: str, wanted: Wanted, urgency: float) -> Future[None]:  # noqa: ARG002
        """Have a fit made that nobody has ordered yet."""
        return self.submit(urgency, _fit, loop, wanted)

    def make(self, loop: str, wanted: Sequence[tuple[str, Wanted]]) -> None:
        """Have fits made side by side, the largest first; returns when all are kept."""
        ordered = sorted(wanted, key=lambda one: one[1].size, reverse=True)
        for promised in [self.fit(loop, key, one, SOON) for key, one in ordered]:
            promised.result()

    def give_up(self, why: BaseException | None = None) -> None:
        """Begin nothing more; whoever waits, or comes later, is told.

        Args:
            why: what those are told; None: that it is given up.
        """
        with self._lock:
            self._given_up = self._given_up or why or CancelledError()
            waiting, self._waiting = self._waiting, []
        for _, _, promised, _ in waiting:
            _tell(promised, self._given_up)

    def _start(self) -> None:
        """Hand over what can be. One thread does at a time, as what ends at once makes room for the next."""
        with self._lock:
            if self._is_starting:
                return
            self._is_starting = True
        while (piece := self._next()) is not None:
            core, promised, work = piece
            try:
                done = self._pool.submit(_on_core, core, work)
            except Exception as error:  # noqa: BLE001 - the processes are gone, or whatever it is: who waits is told
                self._free_again(core)
                promised.set_exception(error)
                continue
            done.add_done_callback(partial(self._end, promised, core))

    def _next(self) -> tuple[int | None, Future[Any], Callable[[], Any]] | None:
        """What is to be handed over now, and to which core; None: nothing, and nobody is starting."""
        with self._lock:
            if not self._free or not self._waiting:
                self._is_starting = False
                return None
            _, _, promised, work = heapq.heappop(self._waiting)
            return self._free.pop(), promised, work

    def _free_again(self, core: int | None) -> None:
        with self._lock:
            self._free.append(core)

    def _end(self, promised: Future[Any], core: int | None, done: Future[Any]) -> None:
        self._free_again(core)
        error = CancelledError() if done.cancelled() else done.exception()
        if error is not None:
            promised.set_exception(error)
        else:
            promised.set_result(done.result())
        if isinstance(error, BrokenExecutor | CancelledError):  # the processes are gone, or going
            self.give_up(error)
        else:
            self._start()


def _tell(promised: Future[Any], why: BaseException) -> None:
    if isinstance(why, CancelledError):
        promised.cancel()
    else:
        promised.set_exception(why)


def idle_first(cores: Sequence[int]) -> list[int]:
    """The cores, those with the least to do now first."""
    busy = psutil.cpu_percent(interval=0.2, percpu=True)
    return sorted(cores, key=lambda core: busy[core] if core < len(busy) else 0.0)


@contextmanager
def started(plan: Plan) -> Iterator[Workers]:
    """Processes that have the plan; when this is left early, or its process is killed, they end at once.

    Raises:
        TrainingError: one of them was ended from outside.
    """
    context = multiprocessing.get_context("spawn")
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    size = plan.jobs or len(cores) or os.cpu_count() or 1
    lifeline, held = context.Pipe(duplex=False)
    # They share nothing that one could hold when it is killed: the others would wait for it for ever.
    pool = ProcessPoolExecutor(size, mp_context=context, initializer=_begin, initargs=(plan, lifeline))
    cores = idle_first(cores)  # replays side by side with fewer processes than cores do not share one
    workers = Workers(pool, [cores[number % len(cores)] if cores else None for number in range(size)])
    try:
        yield workers
    except BrokenExecutor:
        held.close()
        raise TrainingError(
            "a process of the replay was ended from outside, perhaps for want of memory; what was fitted is "
            "kept: the same command goes on there, and `--jobs 1` needs least"
        ) from None
    except BaseException:
        held.close()
        raise
    finally:
        workers.give_up()
        pool.shutdown(cancel_futures=True)
        held.close()
        lifeline.close()


def stage_of(plan: Plan, loop: str = "default", workers: Workers | None = None) -> Stage:
    """What the policies of a plan are played on; with processes those make what a policy wants."""
    use_case = plan.loops[loop]
    elsewhere = None if workers is None else partial(workers.make, loop)
    return Stage(
        use_case,
        plan.history,
        plan.periods,
        FitStore(plan.fits, plan.history, use_case, elsewhere, Versions(plan.versions / loop)),
        plan.delay,
    )


_plan: Plan | None = None
"""In a worker: what it works on."""


def _begin(plan: Plan, lifeline: Connection) -> None:
    global _plan
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told as well, and ends it
    threading.Thread(target=end_with_parent, args=(lifeline,), daemon=True).start()
    _plan = plan


def _on_core(core: int | None, work: Callable[[], Any]) -> Any:
    if core is not None:
        os.sched_setaffinity(0, {core})
    return work()


def _here() -> Plan:
    assert _plan is not None, "this runs in a worker only"
    return _plan


def _fit(loop: str, wanted: Wanted) -> None:
    plan = _here()
    fits = stage_of(plan, loop).fits
    if fits.has(wanted):
        return
    # On one thread, as each process has a core.
    with nullcontext() if plan.home is None else vectors_kept(plan.home, threads=1):
        fits.get(wanted)


def _play_incremental(name: str) -> Played:
    plan = _here()
    return play_incremental(stage_of(plan), name, plan.folder / f"{name}.pickle")
