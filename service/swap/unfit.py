"""Which of the versions that serve in a worker do so no longer well: they hang, fail, or killed workers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from weakref import WeakKeyDictionary

from service.answers.slot import ServedVersion, Slot
from service.errors import ModelHangs
from service.watchdog.first_load import VersionUnfit
from service.watchdog.troubles import FAILS, Trouble, Troubles

LEAST_BROKEN = 10
"""A version that failed on fewer requests, as far as they were looked at together, is kept."""
MOST_REQUESTS = 1_000
"""So many requests are looked at together."""


class Unfit:
    """Looks at what serves in one worker; its own failures, and what the workers of this home know.

    Args:
        troubles: what versions did to the workers of this home.
        loop: on which callers wait.
    """

    def __init__(self, troubles: Troubles, loop: asyncio.AbstractEventLoop) -> None:
        self._troubles = troubles
        self._loop = loop
        self._hung: set[tuple[str, int]] = set()
        # Of each by itself: a version that was tried is loaded anew when it serves, and counts from 0.
        self._counted: WeakKeyDictionary[ServedVersion, tuple[int, int]] = WeakKeyDictionary()
        self._seen = b""

    def note_hang(self, use_case: str, version: int, _reason: str) -> None:
        """A thread of this worker hangs by a version; from the thread that watches."""
        self._hung.add((use_case, version))

    def forget(self, use_case: str, version: int) -> None:
        """The version is announced anew and gets another chance."""
        self._troubles.forget(use_case, version)
        self._hung.discard((use_case, version))
        for served in [one for one in self._counted if (one.name, one.version) == (use_case, version)]:
            del self._counted[served]

    def among(self, slots: Iterable[Slot]) -> list[tuple[Slot, ServedVersion, VersionUnfit]]:
        """Versions that should serve, or be tried, no more, with their slot, and why."""
        serving = [
            (slot, served) for slot in slots for served in (slot.current, slot.canary) if served is not None
        ]
        for _slot, served in serving:
            self._count_failures(served)
        content = self._troubles.content()
        if content == self._seen:
            return []
        reasons = [self._troubles.reason(slot.name, served.version) for slot, served in serving]
        self._seen = content
        return [
            (slot, served, VersionUnfit(reason))
            for (slot, served), reason in zip(serving, reasons, strict=True)
            if reason is not None
        ]

    def is_hopeless(self, served: ServedVersion) -> bool:
        """Whether it is better that nothing answers than this version."""
        return (served.name, served.version) in self._hung

    def let_go(self, served: ServedVersion) -> None:
        """Tell those who wait for a version that hangs."""
        if self.is_hopeless(served):
            error = ModelHangs(served.name, served.version)
            self._loop.call_soon_threadsafe(served.pipeline.batcher.abandon, error)

    def _count_failures(self, served: ServedVersion) -> None:
        answered, broken = served.pipeline.answered, served.pipeline.broken
        answered_before, broken_before = self._counted.setdefault(served, (0, 0))
        failed, requests = broken - broken_before, answered + broken - answered_before - broken_before
        if failed < LEAST_BROKEN and requests < MOST_REQUESTS:
            return
        self._counted[served] = answered, broken
        if failed >= LEAST_BROKEN and 2 * failed >= requests:
            reason = f"it failed on {failed} of {requests} requests"
            self._troubles.add(Trouble(served.name, served.version, FAILS, "answering", time.time(), reason))
