"""The servers as data: how each is started, where it listens and when it counts as healthy."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from configs.settings import Settings
from flows.servers.environment import SERVICE, python_of
from flows.stack import probes

POSTGRES = "postgres"
SUPERVISOR = "supervisor"
"""Name of the process that watches in the background: in the record, and of its log."""
LOOPBACK = "127.0.0.1"
LONGEST_START_SECONDS = 300.0
"""How long a start may take on a slow and busy machine, where it gets on."""


OnStatus = Callable[[str, str], None]
"""Told the name of a server, and what has become of it."""


@dataclass(frozen=True)
class Server:
    """One process of the stack that `ratchet up` starts itself (PostgreSQL has its own way)."""

    name: str
    """Name in messages, of the log and in the record."""
    command: tuple[str, ...]
    healthy: Callable[[int], bool]
    """Whether it does its work; asked with its process id."""
    port: int | None = None
    host: str = LOOPBACK
    variable: str = ""
    """Environment variable that moves the port."""
    start_seconds: float = 90.0
    """Longest time until it is healthy where it gets nowhere meanwhile."""
    stop_seconds: float = 10.0
    """Time to finish what it does when asked to end."""
    waits_for_port: bool = False
    """It waits by itself until those before it let go of the port, while they answer what they still have."""
    is_alive: Callable[[], bool] | None = None
    """Whether it answers at all, whatever the servers that it needs do; None: nobody can ask it."""
    after: str | None = None
    """What must be ready before it is started: PostgreSQL's databases, or Ratchet's own tables."""


def log_file(settings: Settings, name: str) -> Path:
    """Where a server's output goes."""
    return settings.home / "postgres" / "log" if name == POSTGRES else settings.home / "logs" / f"{name}.log"


def servers(settings: Settings) -> tuple[Server, ...]:
    """Those that belong to this installation, in the order in which they are stopped."""
    return tuple(
        server
        for server, enabled in (
            (_service(settings), True),
            (_worker(settings), True),
            (_prefect(settings), settings.starts_prefect),
            (_mlflow(settings), settings.starts_mlflow),
        )
        if enabled
    )


def _service(settings: Settings) -> Server:
    url = probes.client_url(settings.service_url)
    return Server(
        name=SERVICE,
        command=(python_of(settings, SERVICE), "-m", "service.run"),
        # Whether it has what it is to serve is told by itself: to start it again would not help.
        healthy=lambda _pid: probes.answers(f"{url}/livez"),
        port=settings.port,
        host=settings.host,
        variable="RATCHET_PORT",
        # Requests that are being answered are answered to the end.
        stop_seconds=20.0 + settings.drain_seconds,
        waits_for_port=True,
        is_alive=lambda: probes.answers(f"{url}/livez"),
        after="tables",
    )


def _worker(settings: Settings) -> Server:
    # By its environment, which names the servers of this home too, it could not tell.
    told = {"--sole": settings.starts_prefect, "--keeps-models": settings.starts_mlflow}
    return Server(
        name="worker",
        command=(sys.executable, "-m", "flows.scheduling.worker", *(word for word in told if told[word])),
        healthy=lambda pid: probes.worker_is_ready(settings.home, pid),
    )


def _prefect(settings: Settings) -> Server:
    return Server(
        name="prefect",
        command=(sys.executable, "-m", "flows.servers.prefect"),
        healthy=lambda _pid: probes.answers(f"{settings.prefect_url}/health"),
        port=settings.prefect_port,
        variable="RATCHET_PREFECT_PORT",
        is_alive=lambda: probes.answers(f"{settings.prefect_url}/health"),
        after="databases",
    )


def _mlflow(settings: Settings) -> Server:
    return Server(
        name="mlflow",
        command=(sys.executable, "-m", "flows.servers.mlflow"),
        healthy=lambda _pid: probes.answers(f"{settings.mlflow_uri}/health"),
        port=settings.mlflow_port,
        variable="RATCHET_MLFLOW_PORT",
        is_alive=lambda: probes.answers(f"{settings.mlflow_uri}/health"),
        after="databases",
    )
