"""What a supervisor watches: is it there, does it serve, start it, end it; one class for each kind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import psutil

from configs.settings import CHECKOUT, Settings
from flows.servers.environment import child_environment
from flows.stack import processes, state
from flows.stack.errors import PortTaken
from flows.stack.specs import POSTGRES, Server, log_file, servers
from store.database.embedded import EmbeddedPostgres

REMAINS_SECONDS = 1.0
"""What a killed server has left may take so long to end: others wait for the new one."""
POSTGRES_USERS = ("prefect", "mlflow", "worker", "service")


class Watched(Protocol):
    """One server."""

    name: str
    start_seconds: float

    def is_there(self) -> bool:
        """Whether its process runs."""

    def is_healthy(self) -> bool:
        """Whether it does its work."""

    def is_alive(self) -> bool:
        """Whether it answers at all, as far as it can be asked, whatever the servers that it needs do."""

    def gets_on(self) -> bool:
        """Whether its start gets anywhere; to be asked again and again."""

    def wait(self, seconds: float) -> None:
        """Return when its process ends, at the latest after that time."""

    def start(self, settings: Settings) -> None:
        """Start it, unless this process no longer is who watches.

        Raises:
            StackError: it cannot be started now.
        """

    def end(self) -> None:
        """Kill it."""


class WatchedServer:
    """A server that is one process with its children."""

    def __init__(self, settings: Settings, name: str, is_mine: Callable[[], bool]) -> None:
        self.name = name
        self._settings = settings
        self._is_mine = is_mine
        self._server = _server(settings, name)
        self.start_seconds = self._server.start_seconds
        self._process: psutil.Process | None = None
        self._progress: processes.Progress | None = None

    def is_there(self) -> bool:
        """Whether its process runs."""
        if self._process is None or not processes.is_running(self._process):
            self._process = state.running(self._settings.home).get(self.name)
        return self._process is not None

    def is_healthy(self) -> bool:
        """Whether it does its work."""
        return self._process is not None and self._server.healthy(self._process.pid)

    def is_alive(self) -> bool:
        """Whether it answers at all, as far as it can be asked."""
        return self._server.is_alive is None or self._server.is_alive()

    def gets_on(self) -> bool:
        """Whether its start gets anywhere; to be asked again and again."""
        if self._process is None:
            return False
        if self._progress is None or self._progress.process != self._process:
            still = min(processes.STILL_SECONDS, self.start_seconds)
            self._progress = processes.Progress(self._process, log_file(self._settings, self.name), still)
        return self._progress.gets_on()

    def wait(self, seconds: float) -> None:
        """Return when its process ends, at the latest after that time."""
        _wait(self._process, seconds)

    def start(self, settings: Settings) -> None:
        """Clear what is left of it, and start it.

        Raises:
            PortTaken: somebody else has its port.
        """
        home = settings.home
        self._server = server = _server(settings, self.name)
        with state.locked(home, unless=self._is_given_up) as held:
            remains = processes.marked_processes(home, self.name) if held and self._is_mine() else []
        self._clear(server, remains)
        environment = child_environment(settings, server.name)
        with state.locked(home, unless=self._is_given_up) as held:
            if held and self._is_mine() and not self.is_there():
                self._process = processes.spawn(
                    server.command, environment, log_file(settings, server.name), CHECKOUT
                )
                recorded = state.RecordedProcess.of(self._process)
                state.write_state(home, state.read_state(home) | {server.name: recorded})

    def _clear(self, server: Server, remains: Sequence[psutil.Process]) -> None:
        """Not under the lock, that others are not held up.

        And no others than those, as a stack that somebody has started meanwhile bears the same marks.
        """
        if remains and server.waits_for_port:
            clear = partial(processes.stop, lambda: remains, server.stop_seconds)
            threading.Thread(target=clear, name=f"clear-{self.name}", daemon=True).start()
            return
        processes.stop(lambda: remains, REMAINS_SECONDS)
        if server.port is not None and not processes.port_is_free(server.port, server.host):
            raise PortTaken(server.name, server.port, processes.port_holder(server.port), server.variable)

    def end(self) -> None:
        """Kill it, with its children."""
        processes.stop(lambda: processes.marked_processes(self._settings.home, self.name), REMAINS_SECONDS)

    def _is_given_up(self) -> bool:
        return not self._is_mine()


class WatchedPostgres:
    """The embedded database."""

    name = POSTGRES
    start_seconds = 90.0

    def __init__(self, settings: Settings, is_mine: Callable[[], bool]) -> None:
        self._settings = settings
        self._is_mine = is_mine
        self._postgres = EmbeddedPostgres(settings.home / "postgres")
        self._process: psutil.Process | None = None

    def is_there(self) -> bool:
        """Whether its process runs."""
        if self._process is None or not processes.is_running(self._process):
            pid = self._postgres.pid()
            self._process = None if pid is None else psutil.Process(pid)
        return self._process is not None

    def is_healthy(self) -> bool:
        """It is not left before it answers."""
        return True

    def is_alive(self) -> bool:
        """It is never ended for being silent: what waits in it may be long, and must not be cut off."""
        return True

    def gets_on(self) -> bool:
        """It is waited for where it is started."""
        return False

    def wait(self, seconds: float) -> None:
        """Return when its process ends, at the latest after that time."""
        _wait(self._process, seconds)

    def start(self, settings: Settings) -> None:
        """Start it, and wait until it answers.

        Raises:
            PostgresFailed: it did not come up.
        """
        before = self._postgres.url
        after = self._postgres.start()
        if not self._is_mine() and not state.read_state(settings.home):
            self._postgres.stop()  # all was stopped in the meantime
        elif before != after:  # at another port, which those that were given the old one never learn
            processes.stop(lambda: _users(settings), REMAINS_SECONDS)

    def end(self) -> None:
        """Stop it."""
        self._postgres.stop()


def _wait(process: psutil.Process | None, seconds: float) -> None:
    if process is None:
        time.sleep(seconds)
    else:
        processes.wait_for_end(process, seconds)


def _users(settings: Settings) -> list[psutil.Process]:
    """What was given the database's address when it was started."""
    return [process for name in POSTGRES_USERS for process in processes.marked_processes(settings.home, name)]


def _server(settings: Settings, name: str) -> Server:
    return next(server for server in servers(settings) if server.name == name)
