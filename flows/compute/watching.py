"""Whether the scheduler of a cluster, and workers that may do the work, are there while work is in hand.

Dask itself waits without end for a scheduler that is frozen, and for another worker to come.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection
from typing import Any

LOOK_SECONDS = 2.0
SILENCE = 60.0
"""Seconds without an answer of the scheduler until it is given up."""
NO_WORKER = 120.0
"""Seconds without any worker that may do the work until it is given up."""

log = logging.getLogger("ratchet.compute")


class Watch:
    """Looks at a cluster from a thread of its own until it is closed, or the cluster is lost.

    Args:
        client: of `distributed`, connected.
        only: addresses of workers that the work is restricted to; empty: any may do it.
        on_lost: told once, in a few words, what is wrong with the cluster.
        silence: seconds for the scheduler to answer.
        no_worker: seconds that work may be without a worker.
    """

    def __init__(
        self,
        client: Any,
        only: Collection[str],
        on_lost: Callable[[str], None],
        *,
        silence: float = SILENCE,
        no_worker: float = NO_WORKER,
    ) -> None:
        self._client, self._only, self._on_lost = client, frozenset(only), on_lost
        self._silence, self._no_worker = silence, no_worker
        self._closed = threading.Event()
        threading.Thread(target=self._look, name="cluster-watch", daemon=True).start()

    def close(self) -> None:
        """Look no more."""
        self._closed.set()

    def _look(self) -> None:
        seen = time.monotonic()
        while not self._closed.wait(LOOK_SECONDS):
            try:
                workers = frozenset(self._workers())
            except TimeoutError:
                self._tell(f"its scheduler has not answered for {self._silence:.0f} seconds")
                return
            except Exception as error:  # noqa: BLE001 - a connection that ended is Dask's affair: it connects anew
                log.info("the scheduler could not be asked for its workers: %s", error)
                seen = time.monotonic()
                continue
            if workers & self._only if self._only else workers:
                seen = time.monotonic()
            elif time.monotonic() - seen > self._no_worker:
                which = f" ({', '.join(sorted(self._only))})" if self._only else ""
                self._tell(f"it has had no worker{which} for {self._no_worker:.0f} seconds")
                return

    def _workers(self) -> Collection[str]:
        told = self._client.sync(
            self._client.scheduler.identity, n_workers=-1, callback_timeout=self._silence
        )
        workers: Collection[str] = told["workers"]
        return workers

    def _tell(self, what: str) -> None:
        if not self._closed.is_set():
            self._on_lost(what)
