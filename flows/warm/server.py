"""The process that has the flows imported: `python -m flows.warm.server`.

It has one thread of Python, so that it can be forked at any time, and nothing runs in it but this. Each fork
runs one flow run in a session of its own and ends, so its memory goes back and none sees another. It ends
when the worker does, whose end of standard input is closed then, and after the last of its forks.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import logging
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from flows.mirroring.priority import step_behind
from flows.warm import wire
from flows.warm.freshness import Stamps, is_fresh, stamps, told_apart
from models.absent_packages import OF_MLFLOW, note_absent

PRELOADED = (
    "prefect.flow_engine",
    "prefect.task_engine",
    "prefect._internal.metrics",
    "prefect.runner.storage",
    "prefect.utilities.visualization",
    "flows.loop",
    "mlflow.pyfunc",
    "mlflow.tracking.request_header.registry",
    "scipy.stats",
    "sklearn.linear_model",
    "sklearn.metrics",
    "skops.io",
)
"""What most flow runs import. None may start a thread of Python, nor compute by threads of its own, as
TensorFlow would: no thread survives a fork."""
CALLED = (
    ("models.provenance.surroundings", "installed_packages"),
    ("mlflow.utils.requirements_utils", "_init_modules_to_packages_map"),
    ("models.code_archive", "archived_code"),
    ("prefect.client.schemas.actions", "FlowRunUpdate.model_rebuild"),
    ("prefect.client.schemas.actions", "LogCreate.model_rebuild"),
    ("prefect.client.schemas.objects", "FlowRun.model_rebuild"),
    ("prefect.client.schemas.objects", "WorkPool.model_rebuild"),
    ("prefect.client.schemas.objects", "WorkQueue.model_rebuild"),
    ("prefect.client.schemas.responses", "DeploymentResponse.model_rebuild"),
    ("prefect.events.filters", "EventFilter.model_rebuild"),
    ("prefect.events.schemas.events", "Event.model_rebuild"),
)
"""Functions that read which packages are installed, pack the code that goes with a version, or build a model
of Prefect's client, and remember it: when it is first used, which by itself would be in each run."""
REQUEST_SECONDS = 5.0
STALE = 3
"""Exit code of one that has imported other code than lies on disk now."""
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>

log = logging.getLogger("ratchet.warm")


@dataclass(frozen=True)
class Task:
    """What a fork is to run."""

    module: str
    environment: Mapping[str, str]
    folder: str


@dataclass
class _Fork:
    connection: socket.socket
    told: set[int] = field(default_factory=set)
    """Signals that it was sent; a second one would cut off what it does about the first."""


class Forking:
    """Waits for requests, forks, passes signals on, and tells how each fork has ended."""

    def __init__(
        self, listener: socket.socket, worker: int, imported: Stamps, environment: Mapping[str, str]
    ) -> None:
        self._listener = listener
        self._imported = imported
        self._environment = environment
        self._forks: dict[int, _Fork] = {}
        self._code: int | None = None
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        for end in (self._wake, self._woken):
            end.setblocking(False)
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._on_term)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._worker = worker
        self._selector.register(listener, selectors.EVENT_READ, self._accept)
        self._selector.register(worker, selectors.EVENT_READ, self._worker_ended)
        self._selector.register(self._woken, selectors.EVENT_READ, self._reap)

    def serve(self) -> Task | int:
        """Go on until it is over: the exit code; or in a fork, at once, what that is to run."""
        while self._code is None or self._forks:
            for key, _ in self._selector.select():
                if isinstance(key.data, int):
                    self._hear(key.data)
                elif isinstance(task := key.data(), Task):
                    return task
        return self._code

    def _end(self, code: int) -> None:
        """Take no more requests, and end after the last fork."""
        if self._code is None:
            self._code = code
            self._selector.unregister(self._listener)
            self._listener.close()

    def _on_term(self, *_: object) -> None:
        self._end(0)
        for pid in self._forks:
            self._signal(pid, signal.SIGTERM)

    def _worker_ended(self) -> None:
        self._selector.unregister(self._worker)
        self._end(0)

    def _accept(self) -> Task | None:
        try:
            connection, _ = self._listener.accept()
        except OSError:  # closed meanwhile, or the client has gone
            return None
        connection.settimeout(REQUEST_SECONDS)
        try:
            if _peer(connection) != os.getuid():
                raise EOFError
            connection.sendall(wire.GREETING)
            request, files = wire.receive(connection, 3)
        except (OSError, EOFError):
            connection.close()
            return None
        if (why := self._refusal(request["environment"])) is not None:
            log.warning("a flow run starts by itself: %s", why)
            wire.close_all(files)
            with contextlib.suppress(OSError):
                wire.send(connection, {"refused": why})
            connection.close()
            return None
        return self._fork(connection, Task(**request), files)

    def _refusal(self, environment: Mapping[str, str]) -> str | None:
        if not is_fresh(self._imported):
            self._end(STALE)
            return "the code on disk has changed"
        if threading.active_count() > 1:
            self._end(STALE)
            return "something imported has started a thread"
        if apart := told_apart(self._environment, os.environ, environment):
            return f"it has other variables: {', '.join(apart)}"
        return None

    def _fork(self, connection: socket.socket, task: Task, files: list[int]) -> Task | None:
        server = os.getpid()
        # What comes now waits until the fork has its own handlers, or the server knows it.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGCHLD))
        pid = os.fork()
        if pid == 0:
            self._become_own(server, files)
            connection.close()
            return task
        wire.close_all(files)
        self._forks[pid] = _Fork(connection)
        self._selector.register(connection, selectors.EVENT_READ, pid)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGCHLD))
        with contextlib.suppress(OSError):  # one that is gone is heard of by its connection
            wire.send(connection, {"pid": pid})
        return None

    def _become_own(self, server: int, files: list[int]) -> None:
        """In the fork: let go of all that is the server's, and end with it."""
        os.setsid()
        step_behind()  # a session of its own is not behind because the worker's is
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != server:
            os._exit(1)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for fork in self._forks.values():
            fork.connection.close()
        for other in (self._selector, self._wake, self._woken, self._listener):
            other.close()
        for place, file in enumerate(files):
            os.dup2(file, place)
        wire.close_all(files)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGCHLD))

    def _hear(self, pid: int) -> None:
        """Pass on what a client has to say; one that is gone takes its fork along."""
        fork = self._forks.get(pid)
        if fork is None:  # reaped just now
            return
        try:
            numbers = fork.connection.recv(64)
        except OSError:
            numbers = b""
        if not numbers:
            self._selector.unregister(fork.connection)
            self._signal(pid, signal.SIGKILL)
        for number in numbers:
            self._signal(pid, number)

    def _signal(self, pid: int, number: int) -> None:
        """It has not been waited for, so the id is still its own."""
        if number not in self._forks[pid].told:
            self._forks[pid].told.add(number)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._woken.recv(4096)
        for pid in list(self._forks):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                fork = self._forks.pop(pid)
                with contextlib.suppress(KeyError, ValueError):
                    self._selector.unregister(fork.connection)
                with contextlib.suppress(OSError):
                    wire.send(fork.connection, {"ended": os.waitstatus_to_exitcode(status)})
                fork.connection.close()


def main(preloaded: Sequence[str] = PRELOADED, called: Sequence[tuple[str, str]] = CALLED) -> None:
    """Import, then serve; in a fork, run what it is to run and end as that does."""
    path = os.environ.get(wire.SOCKET)
    if path is None:
        sys.exit(f"{wire.SOCKET} does not say where to listen")
    listener, begun_with = _listen(path), dict(os.environ)
    for name in preloaded:
        importlib.import_module(name)
    for module, function in called:
        remembering(module, function)()
    note_absent(OF_MLFLOW)  # when one is installed, this process is stale
    gc.collect()
    gc.freeze()  # what is imported is not gone through again in each fork, which would copy its pages
    worker = os.dup(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    task = Forking(listener, worker, stamps(), begun_with).serve()
    if isinstance(task, int):
        sys.exit(task)
    os.close(worker)
    libraries = {name: value for name, value in os.environ.items() if name not in begun_with}
    _run(task, libraries)


def remembering(module: str, function: str) -> Callable[[], object]:
    """A function of a module, or of a class in it; one that does nothing where a release has no such."""
    found: object = importlib.import_module(module)
    for name in function.split("."):
        found = getattr(found, name, _nothing)
    assert callable(found)
    return found


def _nothing() -> None:
    """What there is not."""


def _run(task: Task, libraries: Mapping[str, str]) -> None:
    """In the fork: be the module, as the interpreter would run it, in the environment of the run.

    Args:
        libraries: variables that what is imported has set for itself.
    """
    os.environ.clear()
    os.environ.update({**libraries, **task.environment})
    os.chdir(task.folder)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()  # each fork would draw the same
    if "prefect.context" in sys.modules:
        sys.modules["prefect.context"].refresh_global_settings_context()
    sys.argv = [task.module]
    sys.modules.pop(task.module, None)
    _end(_exit_code(lambda: runpy.run_module(task.module, run_name="__main__", alter_sys=True)))


def _exit_code(run: Callable[[], object]) -> int:
    """What the interpreter would end with after this, negative by a signal; of an error it says the same."""
    try:
        run()
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        sys.stderr.write(f"{ended.code}\n")
        return 1
    except BaseException as error:  # noqa: BLE001 - nothing is behind it but the end
        sys.excepthook(*sys.exc_info())
        return -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _end(code: int) -> NoReturn:
    """End as the interpreter does, but without freeing what was imported, object by object.

    To write a count into each object copies the pages shared with the server, which took 0.2 s of the
    processor; `multiprocessing` ends its forks likewise.
    """
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads that are no daemons
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # whoever read it has gone, or it was closed
            stream.flush()
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code & 0xFF)


def _listen(path: str) -> socket.socket:
    Path(path).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(16)
    return listener


def _peer(connection: socket.socket) -> int:
    """User id of who has connected."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int.from_bytes(credentials[4:8], sys.byteorder)


if __name__ == "__main__":
    main()
