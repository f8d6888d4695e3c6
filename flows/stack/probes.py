"""Health probes of the servers, over the addresses that their users have."""

from __future__ import annotations

import http.client
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from configs.security.loopback import open_url
from configs.settings import Settings, bracketed
from flows.servers.own_prefect import wrong_address
from flows.stack.errors import NotPrefect
from store.service_workers import living_workers

TIMEOUT = 3.0
_UNSPECIFIED = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def client_url(url: str) -> str:
    """`url` with an address that a client can reach where the server listens on all of them.

    >>> client_url("http://0.0.0.0:3000"), client_url("http://[::1]:3000")
    ('http://127.0.0.1:3000', 'http://[::1]:3000')
    """
    parts = urlsplit(url)
    host = bracketed(_UNSPECIFIED.get(parts.hostname or "", parts.hostname or ""))
    return urlunsplit(parts._replace(netloc=f"{host}:{parts.port}" if parts.port else host))


def answers(url: str, timeout: float = TIMEOUT) -> bool:
    """Whether `GET url` is answered with a success, as a client of this environment would ask."""
    try:
        with open_url(urllib.request.Request(url), timeout) as response:
            return 200 <= int(response.status) < 300
    except (OSError, ValueError, http.client.HTTPException):
        return False


def own_service(settings: Settings) -> int | None:
    """Process id of a worker of this home's service, whoever started that; None: it does not answer."""
    workers = living_workers(settings.home)
    return workers[0] if workers and answers(f"{client_url(settings.service_url)}/livez") else None


def ensure_prefect_address(settings: Settings) -> None:
    """Refuse a Prefect of the user's own whose address leads to something else.

    Raises:
        NotPrefect: saying what came, and how the address ends.
    """
    if not settings.starts_prefect and (problem := wrong_address(settings)) is not None:
        raise NotPrefect(problem)


def ready_file(home: Path) -> Path:
    """Where the worker leaves its process id once it serves the work pool."""
    return home / "worker.ready"


def worker_is_ready(home: Path, pid: int) -> bool:
    """Whether the worker with this process id serves the work pool."""
    return ready_worker(home) == pid


def ready_worker(home: Path) -> int | None:
    """Process id of the worker that said last that it serves the work pool; it may be gone."""
    try:
        said = ready_file(home).read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return int(said) if said.isdecimal() else None
