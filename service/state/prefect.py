"""Whether Prefect answers: predictions do without it, retrains do not."""

from __future__ import annotations

import threading
from http.client import HTTPException
from time import monotonic
from typing import Any
from urllib import request

from configs.security.loopback import open_url

LOOK_SECONDS = 3.0
"""An answer is good for so long."""
TIMEOUT = 1.0


class PrefectState:
    """Asks when it is asked, and remembers for a while."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._lock = threading.Lock()
        self._told: dict[str, Any] = {}
        self._looked = -LOOK_SECONDS

    def describe(self) -> dict[str, Any]:
        """`ok`, and the `error` where it is not."""
        with self._lock:
            if monotonic() - self._looked >= LOOK_SECONDS:
                self._told = self._ask()
                self._looked = monotonic()
            return self._told

    def _ask(self) -> dict[str, Any]:
        try:
            with open_url(request.Request(f"{self._url}/health"), TIMEOUT):
                return {"ok": True}
        except (OSError, HTTPException) as error:  # refused, timed out, or another answer than it gives
            told = (
                f"{self._url} does not answer, so retrains wait: {error}; `ratchet up` starts what is missing"
            )
            return {"ok": False, "error": told}
