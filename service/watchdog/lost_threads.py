"""Threads that are made up for, where a version hangs in them or the system does not give them."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

log = logging.getLogger("ratchet.service")


class ReplacingPool(ThreadPoolExecutor):
    """Keeps as many threads at work as it was made with, whichever of them hang.

    Where the system gives no further thread, those that there are do all: one is there from the first on. To
    raise would tell that the work is not done, when it is in line already and done later.
    """

    def __init__(self, most: int, *, thread_name_prefix: str = "") -> None:
        super().__init__(most, thread_name_prefix=thread_name_prefix)
        self.submit(lambda: None)

    def holds(self, thread: int) -> bool:
        """Whether a thread, by its `threading.get_ident()`, is one of these."""
        return any(one.ident == thread for one in list(self._threads))

    def replace(self, threads: int = 1) -> None:
        """Have so many threads more, in place of those that hang; what waits already is done by them."""
        self._max_workers += threads
        for _ in range(threads):  # each begins a thread, where none is idle
            self.submit(lambda: None)

    def _adjust_thread_count(self) -> None:
        """Begin a thread for work that was put in line, where there may be one more and none is idle."""
        try:
            super()._adjust_thread_count()
        except RuntimeError as error:
            if not self._threads:
                raise
            log.warning("%d threads do the work of %d: %s", len(self._threads), self._max_workers, error)
