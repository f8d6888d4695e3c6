"""Whether Prefect's server answers; retrains need it, predictions do not."""

from __future__ import annotations

import os
import threading
from http.client import HTTPException
from time import monotonic
from typing import Any
from urllib import request

from configs.security.loopback import open_url
from configs.security.proxies import through_proxy

LOOK_SECONDS = 3.0
"""How long a result is used again."""
TIMEOUT = 1.0
"""Seconds that Prefect may take to answer."""


class PrefectHealth:
    """Asks Prefect's /health when `describe` is called, at most once in `LOOK_SECONDS`.

    Args:
        url: of Prefect's API.
        is_named: whether somebody has named that address; else it is where `ratchet up` of this home has it.
    """

    def __init__(self, url: str, *, is_named: bool = True) -> None:
        self.is_named = is_named
        self._url = url.rstrip("/")
        self._lock = threading.Lock()
        self._state: dict[str, Any] = {}
        self._looked_at = -LOOK_SECONDS

    def describe(self) -> dict[str, Any]:
        """`ok` and, where that is false, the `error`. Blocks for `TIMEOUT` seconds at most."""
        with self._lock:
            if monotonic() - self._looked_at >= LOOK_SECONDS:
                self._state = self._ask()
                self._looked_at = monotonic()
            return self._state

    def _ask(self) -> dict[str, Any]:
        try:
            with open_url(request.Request(f"{self._url}/health"), TIMEOUT):
                return {"ok": True}
        except (OSError, HTTPException) as error:  # refused, timed out, or another answer than it gives
            way = through_proxy(self._url, os.environ)
            message = (
                f"{self._url} does not answer{way}, so retrains wait: {error}; "
                "`ratchet up` starts what is missing"
            )
            return {"ok": False, "error": message}
