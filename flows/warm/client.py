"""What Prefect's worker starts for a flow run: `python -m flows.warm.client`; only the standard library.

It has a process forked that has the flows imported, and stands for it: signals that come here go there, and
it ends as that does. Where nobody answers, it becomes Prefect's engine itself: so a run is otherwise begun.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from flows.warm import wire

PATIENCE = 30.0
"""Seconds to wait for a server that is still importing."""
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
ENGINE = "prefect.engine"


def main(module: str = ENGINE) -> None:
    """Run the module, for the flow run that the environment names, in one way or the other."""
    path = os.environ.get(wire.SOCKET)
    ended = None if not path else run_forked(path, module)
    if ended is None:
        from flows.mirroring.priority import step_behind  # not before, as it imports more than the library

        step_behind()
        os.execv(sys.executable, [sys.executable, "-m", module])
    if ended < 0:  # by a signal
        with contextlib.suppress(OSError, ValueError):
            signal.signal(-ended, signal.SIG_DFL)
        os.kill(os.getpid(), -ended)
    sys.exit(ended if ended >= 0 else 128 - ended)


def run_forked(path: str, module: str) -> int | None:
    """How the forked process ended, negative by a signal; None: nothing was begun."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.settimeout(PATIENCE)
            connection.connect(path)
            if connection.recv(1) != wire.GREETING:
                return None
            request = {"module": module, "environment": dict(os.environ), "folder": str(Path.cwd())}
            wire.send(connection, request, (0, 1, 2))
            answer, _ = wire.receive(connection)
        except (OSError, EOFError):
            return None
        if "pid" not in answer:
            return None
        connection.settimeout(None)
        for number in PASSED_ON:
            signal.signal(number, _passing_to(connection))
        try:
            answer, _ = wire.receive(connection)
        except EOFError:  # the server is gone, and what it has forked with it
            return -int(signal.SIGKILL)
        return int(answer["ended"])


def _passing_to(connection: socket.socket) -> Any:
    def pass_on(number: int, _frame: object) -> None:
        with contextlib.suppress(OSError):
            connection.send(bytes([number]))

    return pass_on


if __name__ == "__main__":
    main(*sys.argv[1:2])
