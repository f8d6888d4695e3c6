"""Processes of a stack: started apart from the terminal, known by a mark, stopped with their children.

A server's processes are found by the mark in their environment (`flows.servers.environment`), which their
descendants inherit. So what a killed parent left behind is found too, and a process id that the
system has given to somebody else is never touched.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import psutil

from configs.security.umask import OTHERS
from flows.servers.environment import MARK_HOME, MARK_SERVER
from flows.stack.errors import NotHere
from store.supervision import age_of

LOG_BYTES = 5_000_000
"""What is longer of a log is put aside as `<name>.log.1`, in the place of what was there."""

YOUNG_SECONDS = 1.0
STILL_SECONDS = 30.0
"""A process that neither computes nor says anything for so long gets nowhere."""
LEAST_CPU_SECONDS = 0.2
"""Less in that time is the idling of one that waits."""


class Progress:
    """Whether a process that starts gets anywhere: on a busy machine it takes minutes, and is well.

    Args:
        log: what it writes.
        still_seconds: how long nothing may move.
    """

    def __init__(self, process: psutil.Process, log: Path, still_seconds: float = STILL_SECONDS) -> None:
        self.process = process
        self._log = log
        self._still_seconds = still_seconds
        self._bytes, self._cpu = self._log_bytes(), self._cpu_seconds()
        self._moved_at = self._looked_at = time.monotonic()

    def gets_on(self) -> bool:
        """Whether it has moved lately; to be asked again and again, from its start on."""
        now = time.monotonic()
        if now - self._looked_at >= min(1.0, self._still_seconds / 5):
            self._looked_at = now
            size, cpu = self._log_bytes(), self._cpu_seconds()
            if size != self._bytes or cpu - self._cpu >= LEAST_CPU_SECONDS:
                self._bytes, self._cpu, self._moved_at = size, cpu, now
        return now - self._moved_at < self._still_seconds

    def _log_bytes(self) -> int:
        try:
            return self._log.stat().st_size
        except OSError:
            return 0

    def _cpu_seconds(self) -> float:
        """Of the process and of its children, as far as they can be looked at."""
        seconds = 0.0
        with contextlib.suppress(psutil.Error):
            for one in (self.process, *self.process.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    times = one.cpu_times()
                    seconds += times.user + times.system
        return seconds


def spawn(command: Sequence[str], environment: Mapping[str, str], log: Path, folder: Path) -> psutil.Process:
    """Start a process in a session of its own, with what it says appended to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    put_aside_if_long(log)
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=OTHERS,
        )
    # The process is followed by its id from here on; psutil reaps it when it has ended.
    child.returncode = 0
    return psutil.Process(child.pid)


def put_aside_if_long(log: Path) -> None:
    """Keep a log within twice `LOG_BYTES`, also while a process appends to it, which goes on doing so.

    It is cut before its end is written elsewhere, so that it is cut on a full disk too. What is written
    between reading its end and the cut, a moment, is lost.
    """
    aside = log.with_name(log.name + ".1")
    draft = log.with_name(f".{aside.name}")
    try:
        size = log.stat().st_size
        if size <= LOG_BYTES:
            return
        with log.open("rb") as file:
            file.seek(size - LOG_BYTES)
            end = file.read()
        os.truncate(log, 0)
    except OSError:  # there is none, or it is another user's
        return
    with contextlib.suppress(OSError):  # a full disk is told of by those who must write
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)
        draft.write_bytes(end)
        draft.replace(aside)


def marked_processes(home: Path, server: str | None = None) -> list[psutil.Process]:
    """Live processes of the stack in `home`, or of one of its servers; never this one or its ancestors."""
    excluded = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    matches = []
    for process in psutil.process_iter():
        if process.pid in excluded:
            continue
        try:
            environment = environment_of(process)
            if environment.get(MARK_HOME) != str(home) or process.status() == psutil.STATUS_ZOMBIE:
                continue
        except (psutil.Error, OSError):  # gone meanwhile, or another user's
            continue
        if server is None or environment.get(MARK_SERVER) == server:
            matches.append(process)
    return matches


def environment_of(process: psutil.Process) -> dict[str, str]:
    """The environment that a process was started with.

    While a new program is being laid out in memory the kernel shows none, so a young process without
    one is asked again.

    Raises:
        psutil.Error: the process is gone, or another user's.
    """
    environment: dict[str, str] = process.environ()
    until = time.monotonic() + YOUNG_SECONDS
    while not environment and age_of(process) < YOUNG_SECONDS and time.monotonic() < until:
        time.sleep(0.005)
        environment = process.environ()
    return environment


def is_running(process: psutil.Process) -> bool:
    """Whether it still runs; a child of ours that has ended is reaped."""
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            process.wait(timeout=0)
            return False
        return bool(process.is_running())
    except (psutil.NoSuchProcess, psutil.TimeoutExpired):
        return False


def wait_for_end(process: psutil.Process, seconds: float) -> None:
    """Return as soon as it has ended, at the latest after that time.

    A system that does not tell of the end of a process (only Linux does) is waited for to the end.
    """
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    except (AttributeError, OSError):
        time.sleep(seconds)
        return
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll(seconds * 1000)
    finally:
        os.close(descriptor)


def stop(processes: Callable[[], Iterable[psutil.Process]], grace: float) -> None:
    """Ask processes to end, parents before their children, and end them after `grace` seconds.

    Args:
        processes: looked up again until none is left, because an ending server may still start one.
    """
    signalled: set[int] = set()
    deadline = time.monotonic() + grace
    while alive := [process for process in processes() if is_running(process)]:
        late = time.monotonic() > deadline
        pids = {process.pid for process in alive}
        for process in alive:
            if late:
                _signal(process, signal.SIGKILL)
            elif process.pid not in signalled and _parent(process) not in pids:
                signalled.add(process.pid)
                _signal(process, signal.SIGTERM)
        psutil.wait_procs(alive, timeout=0.1)


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there now.

    Raises:
        NotHere: the host is no address of this machine.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        with socket.socket(found[0][0]) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(found[0][4])
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            return False
        raise NotHere(host, error.strerror or str(error)) from error
    return True


def listener(port: int) -> int | None:
    """Process id of who listens on `port`; None: no process that can be seen."""
    with contextlib.suppress(psutil.Error, OSError):  # other users' sockets may be hidden from us
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return int(connection.pid)
    return None


def port_holder(port: int) -> str | None:
    """Who listens on `port`, for a message; None: no process that can be seen."""
    if (pid := listener(port)) is None:
        return None
    try:
        process = psutil.Process(pid)
        return f"pid {pid} ({' '.join(process.cmdline())[:100] or process.name()})"
    except (psutil.Error, OSError):
        return None


def how_it_ended(code: int) -> str:
    """How a process ended, in words.

    >>> how_it_ended(7), how_it_ended(-11)
    ('exit code 7', 'signal SIGSEGV')
    """
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


def log_end(log: Path, lines: int = 25, since: int = 0) -> str:
    """The last lines of a log, of what was written after byte `since`."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            # A log that is shorter than the mark has been put aside since.
            file.seek(max(since if since <= size else 0, size - 20_000))
            text = file.read().decode(errors="replace")
    except OSError:
        return f"(no log at {log})"
    return "\n".join(text.rstrip().splitlines()[-lines:]) or "(the log is empty)"


def _parent(process: psutil.Process) -> int:
    try:
        return int(process.ppid())
    except psutil.NoSuchProcess:
        return 0


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)
