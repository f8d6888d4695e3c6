"""Callers who ask every server without pause, and what they were answered when."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Self

import httpx


class Calls:
    """Some callers keep their connection, others make one for each request; nothing is sent twice.

    Args:
        urls: by server, its address.
        path: what is asked.
        own: address of this machine that callers ask from; None: any.
        each: callers of a server.
        rest: seconds between two requests of a caller.
    """

    def __init__(
        self,
        urls: Mapping[str, str],
        path: str,
        headers: Mapping[str, str],
        body: Any,
        own: str | None = None,
        each: int = 2,
        rest: float = 0.05,
    ) -> None:
        self.answers: dict[str, Counter[str]] = {name: Counter() for name in urls}
        self.first: dict[tuple[str, int], float] = {}
        """Server and version to the time of its first answer, in seconds since 1970."""
        self.last: dict[tuple[str, int], float] = {}
        self._guard = threading.Lock()
        self._end = threading.Event()
        self._path, self._headers, self._body, self._own = path, dict(headers), body, own
        self._rest = rest
        self._threads = [
            threading.Thread(target=self._run, args=(name, url, bool(number % 2)), daemon=True)
            for name, url in urls.items()
            for number in range(each)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(70)

    @property
    def told(self) -> Counter[str]:
        """What all servers answered."""
        return sum(self.answers.values(), Counter())

    @property
    def sent(self) -> int:
        """Requests that have ended, however."""
        return self.told.total()

    @property
    def failed(self) -> int:
        """Those that were not answered with 200."""
        return self.sent - self.told["200"]

    def _client(self, url: str) -> httpx.Client:
        transport = httpx.HTTPTransport(local_address=self._own)
        return httpx.Client(base_url=url, headers=self._headers, timeout=65, transport=transport)

    def _run(self, name: str, url: str, keeps: bool) -> None:
        client = self._client(url)
        while not self._end.wait(self._rest):
            version = None
            try:
                response = client.post(self._path, json=self._body)
                told = str(response.status_code)
                if response.status_code == 200:
                    version = int(response.json()["model"]["version"])
            except httpx.HTTPError as error:
                told = type(error).__name__
            self._note(name, told, version)
            if not keeps:
                client.close()
                client = self._client(url)
        client.close()

    def _note(self, name: str, told: str, version: int | None) -> None:
        now = time.time()
        with self._guard:
            self.answers[name][told] += 1
            if version is not None:
                self.first.setdefault((name, version), now)
                self.last[name, version] = now
