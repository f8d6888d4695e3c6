"""Threads that are made up for by new ones, where a version hangs in them: they do not come back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor


class ReplacingPool(ThreadPoolExecutor):
    """Keeps as many threads at work as it was made with, whichever of them hang."""

    def holds(self, thread: int) -> bool:
        """Whether a thread, by its `threading.get_ident()`, is one of these."""
        return any(one.ident == thread for one in list(self._threads))

    def replace(self, threads: int = 1) -> None:
        """Have so many threads more, in place of those that hang; what waits already is done by them."""
        self._max_workers += threads
        for _ in range(threads):  # each begins a thread, where none is idle
            self.submit(lambda: None)
