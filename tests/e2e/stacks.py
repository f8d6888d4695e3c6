"""A whole stack of its own for tests: free ports, a temporary home, and nothing left running."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from configs.settings import Settings, read_settings
from flows.stack.starting import bring_up
from flows.stack.stopping import bring_down
from tests.ports import free_port

PATIENCE = 1500.0
"""Seconds until a test gives up waiting for servers and flow runs. How long that takes is not what it tests:
runs come last for a core, and machines do other work too.
"""


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
