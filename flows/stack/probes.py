"""Health probes of the servers, over the addresses that their users have."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

TIMEOUT = 3.0
_UNSPECIFIED = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}


def client_url(url: str) -> str:
    """`url` with an address that a client can reach where the server listens on all of them.

    >>> reachable("http://0.0.0.0:3000")
    'http://127.0.0.1:3000'
    """
    parts = urlsplit(url)
    host = _UNSPECIFIED.get(parts.hostname or "", parts.hostname)
    return urlunsplit(parts._replace(netloc=f"{host}:{parts.port}" if parts.port else str(host)))


def answers(url: str, timeout: float = TIMEOUT) -> bool:
    """Whether `GET url` is answered with a success; proxies of the environment are not used."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=timeout) as response:
            return 200 <= int(response.status) < 300
    except (OSError, urllib.error.URLError, http.client.HTTPException):
        return False


def ready_file(home: Path) -> Path:
    """Where the worker leaves its process id once it serves the work pool."""
    return home / "worker.ready"


def worker_is_ready(home: Path, pid: int) -> bool:
    """Whether the worker with this process id serves the work pool."""
    try:
        return ready_file(home).read_text(encoding="utf-8").strip() == str(pid)
    except OSError:
        return False
