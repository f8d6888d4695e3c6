"""BentoML's process manager as Ratchet needs it: without open ports, and never without workers.

BentoML has circus start its workers, and circus takes commands, to start any program among them, from
whoever reaches its control port: a TCP port of this machine, open to all its users, without a password. No
setting of BentoML moves it. Nothing here sends it commands, so it gets addresses inside its own process.

Left to itself circus looks for dead workers every ten seconds, and on SIGHUP ends them before others serve.
Here a worker that had served is replaced when it dies, and on SIGHUP new ones serve before the old ones end.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bentoml._internal.utils import circus

from configs.served import read_served
from service.hosting.closing import refuse_connections
from service.hosting.parent import tell_workers
from store.service_workers import forget_worker, is_ready

CONTROL, EVENTS = "inproc://ratchet-control", "inproc://ratchet-events"
DRAIN_SIGNAL = signal.SIGUSR1
"""Tells a worker that the service will end: it answers on, and says that no more should come."""
DRAIN_VARIABLE = "RATCHET_DRAIN_SECONDS"
START_SECONDS = 90.0
"""How long new workers may take to serve before the old ones are kept instead."""
POLL_SECONDS = 0.1
_create_with_ports = circus.create_standalone_arbiter
log = logging.getLogger("ratchet.service")


class Arbiter(circus.Arbiter):
    """BentoML's, with workers that follow one another."""

    _draining = False
    _rolling = False
    _roll_again = False

    @property
    def home(self) -> Path:
        """Where workers say that they serve, and where it is written which use cases they are to serve."""
        return Path(os.environ.get("RATCHET_HOME", ".ratchet")).resolve()

    def initialize(self) -> None:
        """Hear of the end of each worker, as soon as there is a loop to hear it."""
        super().initialize()
        signal.signal(
            signal.SIGCHLD, lambda _number, _frame: self.loop.add_callback_from_signal(self._replace_dead)
        )

    def stop(self) -> Any:
        """Have the workers end; for `RATCHET_DRAIN_SECONDS` before, they answer, but are not ready.

        Told again meanwhile, or where no worker serves, it ends them at once.
        """
        seconds = 0 if self._draining or self._stopping else int(os.environ.get(DRAIN_VARIABLE) or 0)
        serving = [worker for worker in self._workers() if is_ready(self.home, worker.pid)]
        if not seconds or not serving:
            return self._end()
        self._draining = True
        for worker in self._workers():  # those that start have nothing in hand
            worker.send_signal(DRAIN_SIGNAL if worker in serving else signal.SIGTERM)
        log.info("draining: %d s until the workers end", seconds)
        self.loop.call_later(seconds, self._end)
        return None

    def _end(self) -> Any:
        """Let nobody connect any more, then have the workers answer and end."""
        if self._stopping:
            return None
        for listener in self.sockets.values():
            refuse_connections(listener)
        if self._is_busy():
            self.loop.call_later(POLL_SECONDS, self._end)
            return None
        return super().stop()

    def reload(self, **_how: bool) -> Any:
        """Replace every worker by one that has read the configuration anew (SIGHUP)."""
        return asyncio.ensure_future(self._roll())

    def manage_watchers(self) -> Any:
        """Look after the workers, but not while there are twice as many of them, or they are to end."""
        return None if self._rolling or self._draining else super().manage_watchers()

    def _workers(self) -> list[Any]:
        return [
            one for watcher in self.iter_watchers() for one in watcher.processes.values() if one.is_alive()
        ]

    def _replace_dead(self) -> None:
        """A worker that never served is left to the next regular look, so that none is started in a loop."""
        dead = [
            process.pid
            for watcher in self.iter_watchers()
            for process in watcher.processes.values()
            if not process.is_alive()
        ]
        if self._stopping or True not in {forget_worker(self.home, pid) for pid in dead}:
            return
        if self._draining:  # a new one would not know
            if not self._workers():
                self._end()
            return
        self._manage_soon()

    def _manage_soon(self) -> None:
        if self._is_busy():
            self.loop.call_later(POLL_SECONDS, self._manage_soon)
        else:
            self.manage_watchers()

    def _is_busy(self) -> bool:
        """Whether circus is looking after its workers at this moment: it refuses all else meanwhile."""
        return self._exclusive_running_command is not None

    async def _roll(self) -> None:
        self._roll_again = self._rolling
        if self._stopping or self._draining or self._rolling:
            return
        self._rolling = True
        try:
            for watcher in self.iter_watchers():
                await self._replace_workers(watcher)
        finally:
            self._rolling = False
        if self._roll_again:
            await self._roll()

    async def _replace_workers(self, watcher: Any) -> None:
        watcher.env.update(read_served(self.home))
        old = list(watcher.processes.values())
        for _ in range(watcher.numprocesses):
            watcher.spawn_process()
        new = [process for process in watcher.processes.values() if process not in old]
        serve = await self._until_ready(new)
        if not serve:
            log.error("new workers did not start, so those that serve go on; what they said is above")
        ending = old if serve else new
        await asyncio.gather(*(watcher.kill_process(process) for process in ending))
        for process in ending:
            watcher.processes.pop(process.pid, None)
            forget_worker(self.home, process.pid)

    async def _until_ready(self, workers: Sequence[Any]) -> bool:
        """Whether all of them serve, as soon as they do; False when one ended or took too long."""
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        while not all(is_ready(self.home, worker.pid) for worker in workers):
            late = asyncio.get_running_loop().time() > deadline
            if late or self._stopping or not all(worker.is_alive() for worker in workers):
                return False
            await asyncio.sleep(POLL_SECONDS)
        return True


def create_arbiter(watchers: list[Any], *, threaded: bool = False, **options: Any) -> circus.Arbiter:
    """The arbiter that BentoML would create, without open ports.

    With plugins (`bentoml serve --reload`) it is BentoML's own: they are programs that need the ports.
    """
    for watcher in watchers:
        tell_workers(watcher.env)
    if options.get("plugins"):
        return _create_with_ports(watchers, threaded=threaded, **options)
    for watcher in watchers:  # BentoML ends the whole service in a container when its last worker dies
        watcher.respawn = True
    arbiter_class = circus.ThreadedArbiter if threaded else Arbiter
    # BentoML's value: with a shorter one the first check would find a server that has not started yet.
    options.setdefault("check_delay", 10)
    return arbiter_class(watchers, endpoint=CONTROL, pubsub_endpoint=EVENTS, **options)


def close_control_ports() -> None:
    """Make BentoML create its arbiter without ports; to be called on import, before it creates one."""
    circus.create_standalone_arbiter = create_arbiter
