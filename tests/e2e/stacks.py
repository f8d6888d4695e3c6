"""A whole stack of its own for tests: free ports, a temporary home, and nothing left running."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from configs.settings import Settings, read_settings
from flows.stack.starting import bring_up
from flows.stack.stopping import bring_down


def free_port() -> int:
    """A port that nobody listens on, below those that the system gives to outgoing connections."""
    while True:
        port = random.randint(20_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


@contextmanager
def running_stack(home: Path, *, configs: Path, use_cases: tuple[str, ...]) -> Iterator[Settings]:
    """All servers, up; with the configurations of a folder beside the shipped ones."""
    settings = read_settings(
        {
            "RATCHET_HOME": str(home),
            "RATCHET_PORT": str(free_port()),
            "RATCHET_MLFLOW_PORT": str(free_port()),
            "RATCHET_PREFECT_PORT": str(free_port()),
            "RATCHET_CONFIGS": str(configs),
            "RATCHET_USE_CASES": ",".join(use_cases),
            "PATH": os.environ["PATH"],
        }
    )
    try:
        bring_up(settings, lambda _server, _what: None)
        yield settings
    finally:
        bring_down(settings, lambda _server, _what: None)
