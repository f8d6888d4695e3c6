"""Whether Prefect answers, for people who wonder why a retrain waits. Nothing here needs it."""

from __future__ import annotations

import threading
from time import monotonic
from typing import Any
from urllib import request

LOOK_SECONDS = 10.0
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
            with request.urlopen(f"{self._url}/health", timeout=TIMEOUT):
                return {"ok": True}
        except OSError as error:  # refused, timed out, or another answer than it gives
            return {"ok": False, "error": f"{self._url} does not answer: {error}"}
