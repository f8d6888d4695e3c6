"""Processes of this machine, each on a core: ended with what they are at, and replaced when one is lost."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import signal
import socket
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Future, ProcessPoolExecutor
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from uuid import uuid4

from flows.compute import inside
from flows.compute.contract import OnReport
from flows.compute.errors import WorkLost
from flows.work_folders import WorkFolder

MOST_ATTEMPTS = 3
"""How often a piece of work may be begun; one that ends its process must not do so for ever."""
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")


class LocalPool:
    """So many processes of this machine, each with one core and one thread for its sums.

    Args:
        width: how many.
        folder: where shared values and folders of processes may be; None: where temporary files are.
    """

    is_here = True
    client = None

    def __init__(self, width: int, folder: Path | None = None) -> None:
        self.width = width
        self.where = self.told = f"{width} process{'es' if width > 1 else ''} of this machine"
        self._own = WorkFolder(Path(tempfile.gettempdir()) if folder is None else folder, "pool")
        self._folder = self._own.path
        self._listeners: dict[str, OnReport] = {}
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        # A name of the kernel's own: a path may be longer than it allows.
        self._address = f"\0ratchet-{uuid4()}"
        self._door.bind(self._address)
        threading.Thread(target=self._hear, daemon=True).start()
        self._lock = threading.Lock()
        self._closed = False
        self._open_processes()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Have something done; see `Pool`."""
        promised: Future[Any] = Future()
        self._start(promised, partial(function, *arguments), 1)
        return promised

    def share(self, value: Any) -> inside.StoredValue:
        """A file that processes read once each."""
        path = self._folder / f"{uuid4()}.pickle"
        with path.open("wb") as file:
            pickle.dump(value, file, protocol=pickle.HIGHEST_PROTOCOL)
        return inside.StoredValue(path)

    def share_folder(self, folder: Path) -> Path:
        """The folder itself."""
        return folder

    def listen(self, topic: str, on_report: OnReport) -> None:
        """Have what work reports under a topic told."""
        self._listeners[topic] = on_report

    def close(self) -> None:
        """End the processes, with what they are at."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            processes, held = self._processes, self._held
        held.close()  # by which they end at once
        processes.shutdown(cancel_futures=True)
        self._lifeline.close()
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self._own.remove()

    def _open_processes(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._lifeline, self._held = context.Pipe(duplex=False)
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        # They share nothing that one could hold when it is killed: the others would wait for it for ever.
        self._processes = ProcessPoolExecutor(
            self.width,
            mp_context=context,
            initializer=_begin,
            initargs=(self._lifeline, self._address, self._folder, cores),
        )

    def _start(self, promised: Future[Any], work: Callable[[], Any], attempt: int) -> None:
        with self._lock:
            processes = self._processes
            try:
                if self._closed:
                    raise CancelledError
                done = processes.submit(_portable, work)
            except BrokenExecutor:
                done = None
            except (CancelledError, RuntimeError):
                give_up(promised)
                return
        if done is None:
            self._replace(processes)
            self._start(promised, work, attempt)
            return
        promised.add_done_callback(lambda one: done.cancel() if one.cancelled() else None)
        done.add_done_callback(partial(self._end, promised, work, attempt, processes))

    def _end(
        self,
        promised: Future[Any],
        work: Callable[[], Any],
        attempt: int,
        processes: ProcessPoolExecutor,
        done: Future[Any],
    ) -> None:
        if done.cancelled() or promised.cancelled():
            give_up(promised)
            return
        error = done.exception()
        if isinstance(error, BrokenExecutor) and not self._closed and attempt < MOST_ATTEMPTS:
            # Whichever process was lost, all are: that is how Python's pool has it.
            threading.Thread(target=self._again, args=(promised, work, attempt, processes)).start()
        elif isinstance(error, BrokenExecutor):
            sentence = "processes were ended from outside, perhaps for want of memory"
            settle(promised, error=WorkLost(f"{sentence}; the work was begun {attempt} times"))
        else:
            settle(promised, done.result() if error is None else None, error)

    def _again(
        self,
        promised: Future[Any],
        work: Callable[[], Any],
        attempt: int,
        processes: ProcessPoolExecutor,
    ) -> None:
        self._replace(processes)
        self._start(promised, work, attempt + 1)

    def _replace(self, broken: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._processes is not broken or self._closed:
                return
            self._held.close()
            self._lifeline.close()
            self._open_processes()
        broken.shutdown(wait=False)

    def _hear(self) -> None:
        while True:
            try:
                message = self._door.recv(inside.REPORT_BYTES)
            except OSError:
                return
            if not message:
                return
            topic, told = json.loads(message)
            if (on_report := self._listeners.get(topic)) is not None:
                on_report(told)


def settle(promised: Future[Any], result: Any = None, error: BaseException | None = None) -> None:
    """Give a promise what came of it, unless nobody waits for it any more."""
    if not promised.set_running_or_notify_cancel():
        return
    if error is not None:
        promised.set_exception(error)
    else:
        promised.set_result(result)


def give_up(promised: Future[Any]) -> None:
    """Tell whoever waits for a promise that nothing comes of it."""
    if promised.cancel():
        promised.set_running_or_notify_cancel()


def end_with_parent(lifeline: Connection) -> None:
    """End this process when its parent is gone, or lets go of it.

    Nobody writes to the pipe: it is readable when the one process that could is gone, or has closed it.
    """
    lifeline.poll(None)
    os._exit(1)


def _begin(lifeline: Connection, address: str, folder: Path, cores: list[int]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told as well, and ends it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # what the parent does then is its own affair
    threading.Thread(target=end_with_parent, args=(lifeline,), daemon=True).start()
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))  # read when libraries are first imported
    if cores:
        # Numbers of siblings follow each other, so that they are on different cores.
        number = multiprocessing.current_process()._identity[-1]
        os.sched_setaffinity(0, {cores[(number - 1) % len(cores)]})
    inside.report_to(address, folder)


def _portable(work: Callable[[], Any]) -> Any:
    """What work gives; an error that cannot be read elsewhere becomes one that can."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - it goes to who waits, whatever it is
        raise portable(error) from None


def portable(error: Exception) -> Exception:
    """The same error where it survives the way to another process, else one of its nearest kind that does."""
    for one in (error, *(kind for kind in _plain_kinds(error))):
        try:
            back = pickle.loads(pickle.dumps(one))
        except Exception:  # noqa: BLE001, S112 - whatever its class does when it is made anew
            continue
        if type(back) is type(one) and str(back) == str(error):
            return one
    return RuntimeError(f"{type(error).__name__}: {error}")


def _plain_kinds(error: Exception) -> list[Exception]:
    """Errors of the classes above it, made of its sentence."""
    found: list[Exception] = []
    for kind in type(error).__mro__[1:]:
        if kind is Exception:
            break
        try:
            found.append(kind(str(error)))
        except Exception:  # noqa: BLE001, S112 - a class that is made of something else
            continue
    return found
