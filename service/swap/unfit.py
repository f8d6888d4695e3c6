"""Which of the versions that serve in a worker do so no longer well: they hang, fail, or killed workers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from weakref import WeakKeyDictionary

from service.answers.pipeline import PredictPipeline
from service.answers.slot import ServedVersion, Slot
from service.errors import ModelHangs
from service.swap.links import Links
from service.watchdog import hang_watch
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
        self._hung: dict[tuple[str, int], None] = {}
        """By use case and number, in the order in which that was found."""
        self._counted: WeakKeyDictionary[PredictPipeline, tuple[int, int]] = WeakKeyDictionary()
        """What each version that served, or was tried, had answered and broken on when that was looked at
        last; one that was tried is loaded anew when it serves, and counts from 0. A pipeline is there for as
        long as anybody waits for it."""
        self._seen = self._seen_of_links = b""

    def note_hang(self, use_case: str, version: int, _reason: str) -> None:
        """A thread of this worker hangs by a version; from the thread that watches."""
        self._hung[use_case, version] = None

    def forget(self, use_case: str, version: int) -> None:
        """The version is announced anew and gets another chance."""
        self._troubles.forget(use_case, version)
        self._hung.pop((use_case, version), None)
        for pipeline in list(self._counted):
            if (pipeline.name, pipeline.version) == (use_case, version):
                self._counted[pipeline] = pipeline.answered, pipeline.broken

    def among(self, slots: Iterable[Slot]) -> list[tuple[Slot, ServedVersion, VersionUnfit]]:
        """Versions that should serve, be tried, or be kept to serve again, no more, with their slot, and why.

        Of a slot the one that is kept comes first: what serves is not to be replaced by it.
        """
        serving = [
            (slot, served)
            for slot in slots
            for served in (slot.previous, slot.current, slot.canary)
            if served is not None
        ]
        for _slot, served in serving:
            self._count_failures(served.pipeline, served.version)
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

    def among_links(self, chains: Iterable[Links]) -> list[tuple[str, int, VersionUnfit]]:
        """Versions, by use case and number, that links should ask no more, and why."""
        asked = set().union(*(links.asked for links in chains))
        content = self._troubles.content() if asked else b""
        if content == self._seen_of_links:
            return []
        reasons = [
            (owner, version, self._troubles.reason(owner, version)) for owner, version in sorted(asked)
        ]
        self._seen_of_links = content
        return [
            (owner, version, VersionUnfit(reason)) for owner, version, reason in reasons if reason is not None
        ]

    def is_hopeless(self, served: ServedVersion) -> bool:
        """Whether it is better that nothing answers than this version."""
        return (served.name, served.version) in self._hung

    def let_go(self, served: ServedVersion) -> None:
        """Tell those who wait for a version that hangs."""
        if self.is_hopeless(served):
            self._abandon(served.pipeline, served.version)

    def let_go_of_left(self, slots: Iterable[Slot]) -> None:
        """Tell those who wait for a version that hangs, and had been given up or replaced by then.

        As another worker had found out before this one, or what serves was changed amid a batch that hangs.
        """
        serving = {
            served.pipeline for slot in slots for served in (slot.current, slot.canary) if served is not None
        }
        for pipeline in set(self._counted) - serving:
            version = pipeline.version
            if version is None or (pipeline.name, version) not in self._hung:
                continue
            if pipeline.batcher.running_seconds > hang_watch.ANSWER_SECONDS:
                self._abandon(pipeline, version)

    def _abandon(self, pipeline: PredictPipeline, version: int) -> None:
        error = ModelHangs(pipeline.name, version)
        self._loop.call_soon_threadsafe(pipeline.batcher.abandon, error)

    def let_go_of_links(self, chains: Iterable[Links]) -> None:
        """Tell those who wait for a batch in which a version behind a link hangs; others are answered on.

        Not only as the link is given up: another worker may have found out before this one.
        """
        for links in chains:
            hung = [one for one in list(self._hung) if one in links.ever_asked]
            for pipeline in list(links.pipelines) if hung else ():
                is_stuck = pipeline.batcher.running_seconds > hang_watch.ANSWER_SECONDS
                is_given_up = (pipeline.name, pipeline.version) in self._hung
                if is_stuck and not is_given_up:
                    pipeline.leave_batch(ModelHangs(*hung[-1]))

    def _count_failures(self, pipeline: PredictPipeline, version: int) -> None:
        answered, broken = pipeline.answered, pipeline.broken
        answered_before, broken_before = self._counted.setdefault(pipeline, (0, 0))
        failed, requests = broken - broken_before, answered + broken - answered_before - broken_before
        if failed < LEAST_BROKEN and requests < MOST_REQUESTS:
            return
        self._counted[pipeline] = answered, broken
        if failed >= LEAST_BROKEN and 2 * failed >= requests:
            reason = f"it failed on {failed} of {requests} requests"
            self._troubles.add(Trouble(pipeline.name, version, FAILS, "answering", time.time(), reason))
