"""Stop the servers, in the order in which they need one another, and see that nothing is left."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from configs.settings import Settings
from flows.servers.sign_in import sign_in_file
from flows.stack import processes, state
from flows.stack.probes import ready_file
from flows.stack.specs import POSTGRES, OnStatus, Server, servers
from store.database.embedded import EmbeddedPostgres
from store.supervision import supervision_file

WATCH_END_SECONDS = 70.0
"""Longer than it takes to start PostgreSQL, or to see that it does not."""
STRAY_SECONDS = 5.0


def bring_down(settings: Settings, on_status: OnStatus) -> list[str]:
    """Stop everything of this home and return the names of what was stopped.

    Flow runs at work end with the worker. Servers that an earlier configuration started, and
    processes whose parents were killed, are found by their mark and stopped too.
    """
    if not settings.home.exists():
        return []
    stopped = []
    with state.locked(settings.home):
        _end_watch(settings.home)
        for server in servers(settings):
            if stop_server(settings, server):
                stopped.append(server.name)
                on_status(server.name, "stopped")
        if processes.marked_processes(settings.home):
            processes.stop(lambda: processes.marked_processes(settings.home), STRAY_SECONDS)
            stopped.append("others")
            on_status("others", "left-over processes stopped")
        postgres = EmbeddedPostgres(settings.home / "postgres")
        if postgres.pid() is not None:
            postgres.stop()
            stopped.append(POSTGRES)
            on_status(POSTGRES, "stopped")
        files = (ready_file, sign_in_file, supervision_file)
        for path in (file(settings.home) for file in files):
            path.unlink(missing_ok=True)
        state.write_state(settings.home, {})
    return stopped


def _end_watch(home: Path) -> None:
    """Nothing is started again from now on; a supervisor in the background ends, one at a terminal says so.

    It is not killed: it may be about to start PostgreSQL, which nobody would know of then.
    """
    supervisor = state.read_supervisor(home)
    if supervisor is None:
        return
    state.write_supervisor(home, None)
    if supervisor.process(home) is not None and supervisor.pid != os.getpid():
        os.kill(supervisor.pid, signal.SIGTERM)
        deadline = time.monotonic() + WATCH_END_SECONDS
        while supervisor.is_alive() and time.monotonic() < deadline:
            time.sleep(0.02)


def stop_server(settings: Settings, server: Server) -> bool:
    """Stop one server with all its descendants; False when nothing of it was there."""
    if not processes.marked_processes(settings.home, server.name):
        return False
    processes.stop(lambda: processes.marked_processes(settings.home, server.name), server.stop_seconds)
    return True
