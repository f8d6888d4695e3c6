"""The workers of a Dask cluster: work goes to its scheduler, and what a lost worker had goes to another.

Values travel as pickles, which may run any code: whoever reaches a scheduler is who its workers work for
(docs/security.md).
"""

from __future__ import annotations

import hashlib
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from flows.compute import inside
from flows.compute.contract import OnReport
from flows.compute.errors import WorkersDiffer, WorkLost
from flows.compute.local import give_up, portable, settle
from flows.compute.versions import code_digest
from flows.compute.watching import NO_WORKER, SILENCE, Watch
from models.estimators.streaming.cluster_workers import workers_of

TAKEN_AT_ONCE = 8
"""Results that are fetched side by side."""


class ClusterPool:
    """The workers of a scheduler that has been found good.

    Args:
        client: connected to it.
        code: digest of this side's code, which those must have that join later, too.
        only: addresses of the workers that work is given to; empty: to all, also those that join later.
        silence, no_worker: seconds after which a scheduler that does not answer, or has none of these
            workers, fails all work in hand.
    """

    is_here = False

    def __init__(
        self,
        client: Any,
        code: str,
        only: Sequence[str] = (),
        *,
        silence: float = SILENCE,
        no_worker: float = NO_WORKER,
    ) -> None:
        self.client = client
        self.where = f"Dask at {client.scheduler.address}"
        self._code = code
        self._given = {"workers": list(only), "allow_other_workers": False} if only else {}
        self._only = only
        self._open: set[Future[Any]] = set()
        self._lock = threading.Lock()
        self._lost: str | None = None
        # Dask has one thread for all that have ended: one result that does not come would hold up all others.
        self._taking = ThreadPoolExecutor(TAKEN_AT_ONCE, thread_name_prefix="cluster-results")
        self._watch = Watch(client, only, self._lose, silence=silence, no_worker=no_worker)

    @property
    def width(self) -> int:
        """Threads of all workers that are there now."""
        return max(1, sum(self._threads()))

    @property
    def told(self) -> str:
        """Where work is done, with its workers and their threads."""
        threads = self._threads()
        workers, all_threads = len(threads), sum(threads)
        return (
            f"{self.where}: {workers} worker{'' if workers == 1 else 's'} with "
            f"{all_threads} thread{'' if all_threads == 1 else 's'}"
        )

    def _threads(self) -> list[int]:
        """Of each worker that is there now and may be given work."""
        workers = {} if self._lost is not None else workers_of(self.client)
        return [one["nthreads"] for name, one in workers.items() if not self._only or name in self._only]

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Have something done; see `Pool`."""
        promised: Future[Any] = Future()
        with self._lock:
            lost = self._lost
            if lost is None:
                self._open.add(promised)  # from now on, whoever finds the cluster lost tells of it
        if lost is not None:
            settle(promised, error=WorkLost(lost))
            return promised
        try:
            with quiet():
                done = self.client.submit(
                    _checked,
                    self._code,
                    function,
                    *arguments,
                    key=f"ratchet-{uuid4()}",
                    pure=False,
                    **self._given,
                )
        except Exception:
            with self._lock:
                self._open.discard(promised)
                if self._lost is None:
                    raise
            return promised
        promised.add_done_callback(partial(self._let_go, done))
        done.add_done_callback(partial(self._take, promised))
        return promised

    def share(self, value: Any) -> Any:
        """A future whose value the scheduler can have made again when the workers that hold it are gone."""
        with quiet():
            return self.client.submit(
                _itself, value, key=f"ratchet-shared-{uuid4()}", pure=False, **self._given
            )

    def share_folder(self, folder: Path) -> Any:
        """The folder's files, which each worker unpacks once."""
        packed = inside.pack_folder(folder)
        return self.share(inside.PackedFolder(hashlib.sha256(packed).hexdigest()[:32], packed))

    def listen(self, topic: str, on_report: OnReport) -> None:
        """Have what work reports under a topic told."""

        def tell(event: tuple[float, Any]) -> None:
            on_report({key: value for key, value in event[1].items() if key != "worker"})

        self.client.subscribe_topic(topic, tell)

    def close(self) -> None:
        """Give up what is not done, and leave the cluster."""
        self._watch.close()
        for promised in list(self._open):
            give_up(promised)
        self._leave()

    def _leave(self) -> None:
        self._taking.shutdown(wait=False, cancel_futures=True)
        with suppress(TimeoutError):  # nobody is there to say goodbye to
            self.client.close(timeout=5)

    def _lose(self, what: str) -> None:
        """Fail whatever is waited for: the cluster will not do it."""
        with self._lock:
            self._lost = f"{self.where} is given up: {what}"
            waiting, self._open = self._open, set()
        for promised in waiting:
            settle(promised, error=WorkLost(self._lost))
        self._leave()

    def _let_go(self, done: Any, promised: Future[Any]) -> None:
        with self._lock:
            self._open.discard(promised)
        if promised.cancelled():
            done.cancel(force=True)

    def _take(self, promised: Future[Any], done: Any) -> None:
        with suppress(RuntimeError):  # the pool is closed: nobody waits
            self._taking.submit(self._end, promised, done)

    def _end(self, promised: Future[Any], done: Any) -> None:
        """Settle a piece of work that has ended, wherever it was done at last."""
        from distributed import KilledWorker

        result: Any = None
        failure: BaseException | None = None
        try:
            if done.status in ("cancelled", "lost"):
                raise WorkLost(f"{self.where} went away with work in hand")
            result = done.result()
        except KilledWorker as error:
            why = "work ended the worker that did it, again and again; perhaps its memory is too small"
            failure = WorkLost(f"{self.where}: {why}: {error}")
        except (CancelledError, OSError, TimeoutError) as error:
            failure = WorkLost(f"{self.where} went away with work in hand: {error}")
        except Exception as error:  # noqa: BLE001 - whatever the work raised is told to who waits for it
            failure = error
        with self._lock:
            is_waited_for = promised in self._open
            self._open.discard(promised)
        if is_waited_for:
            settle(promised, result, failure)


def _checked(code: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """On a worker: do it, if it has the code that was found good; it may have joined since."""
    if code_digest() != code:
        raise WorkersDiffer("a worker that joined later has other code of Ratchet; start it again with ours")
    try:
        return function(*arguments)
    except Exception as error:  # noqa: BLE001 - it goes to who waits, whatever it is
        raise portable(error) from None


def _itself(value: Any) -> Any:
    return value


@contextmanager
def quiet() -> Iterator[None]:
    """Of sizes and versions we judge ourselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
