"""Watch the servers of a `ratchet up` that stays in the foreground, and start again one that dies."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from configs.settings import Settings
from flows.stack import processes, state
from flows.stack.errors import ServerFailed
from flows.stack.specs import POSTGRES, OnStatus, log_file, servers
from flows.stack.starting import bring_back
from store.database.embedded import EmbeddedPostgres

WATCH_SECONDS = 1.0
MOST_RESTARTS = 5
WINDOW_SECONDS = 300.0


def supervise(
    settings: Settings, on_status: OnStatus, *, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Return when another command has stopped the servers.

    Raises:
        ServerFailed: servers died more than `MOST_RESTARTS` times within `WINDOW_SECONDS`.
    """
    restarts: deque[float] = deque()
    while state.read_state(settings.home):
        running = state.running(settings.home)
        dead = [server.name for server in servers(settings) if server.name not in running]
        if settings.database_url is None and EmbeddedPostgres(settings.home / "postgres").pid() is None:
            dead.insert(0, POSTGRES)
        if dead and state.read_state(settings.home):
            log = log_file(settings, dead[0])
            restarts.append(time.monotonic())
            while restarts[0] < restarts[-1] - WINDOW_SECONDS:
                restarts.popleft()
            if len(restarts) > MOST_RESTARTS:
                raise ServerFailed(dead[0], "it ended again and again", str(log), processes.log_end(log))
            bring_back(settings, dead, on_status)
        sleep(WATCH_SECONDS)
