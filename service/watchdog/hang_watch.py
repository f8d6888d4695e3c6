"""Watches the threads of one worker for a version that does not come to an end.

A hung thread cannot be ended, only left behind: those who wait for it are told, the version is given up, and
the worker goes on by another one. Where the event loop itself hangs, or no thread of Python moves any more,
the worker ends and is started anew.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import IO

from service.watchdog.activity import ANSWERING, WORDS, Activity, ActivityMarks
from service.watchdog.troubles import HANG, Trouble, Troubles

ANSWER_SECONDS = 30.0
"""A batch that takes longer will not end."""
FROZEN_SECONDS = 45.0
"""The worker ends where its watch has not moved for so long: something holds the interpreter."""
CHECK_SECONDS = 1.0
EXIT_HUNG = 75
"""Exit code of a worker that ends because its event loop hangs."""

log = logging.getLogger("ratchet.service")
GiveUp = Callable[[str, int, str], None]
"""Told the use case, the version and the reason once a version hangs, from the watch's own thread."""


class HangWatch:
    """The thread that looks at the marks of one worker.

    Args:
        marks: of this process.
        troubles: where a hang is noted, for the other workers and those to come.
        give_up: has the version serve no more, and whoever waits for it told.
        lose: told the thread that will not come back, to have its work go on in another one.
        loop_thread: `threading.get_ident()` of the event loop.
    """

    def __init__(
        self,
        marks: ActivityMarks,
        troubles: Troubles,
        give_up: GiveUp,
        loop_thread: int,
        lose: Callable[[int], None] = lambda _thread: None,
        end: Callable[[int], None] = os._exit,
    ) -> None:
        self._marks = marks
        self._troubles = troubles
        self._give_up = give_up
        self._loop_thread = loop_thread
        self._lose = lose
        self._end = end
        self._lost: set[tuple[int, str, int]] = set()
        """Threads that hang, each by a version."""
        self._made_up: set[tuple[int, str, int]] = set()
        """Those whose work goes on in another thread."""
        self._told: set[tuple[int, str, int]] = set()
        """Those of which it could be noted."""
        self._stopping = threading.Event()
        self._crash_file: IO[str] | None = None
        self._thread = threading.Thread(target=self._run, name="hang-watch", daemon=True)

    @property
    def has_lost_threads(self) -> bool:
        """Whether a thread hangs that will never end, and so would keep the process from ending."""
        return bool(self._lost)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def leave_tracebacks(self) -> None:
        """From here on a crash, or a freeze, of this process leaves a traceback beside the marks."""
        self._crash_file = self._marks.crash_path.open("w", encoding="utf-8")
        faulthandler.enable(self._crash_file)

    def stop(self) -> None:
        """End; the worker stops of itself."""
        self._stopping.set()
        self._thread.join(2 * CHECK_SECONDS)
        if self._crash_file is not None:
            faulthandler.cancel_dump_traceback_later()
            faulthandler.disable()
            self._crash_file.close()

    def check(self) -> None:
        """Look once at what runs."""
        for activity in self._marks.running():
            key = (activity.thread, activity.use_case, activity.version)
            hangs = activity.doing == ANSWERING and activity.seconds > ANSWER_SECONDS
            if not hangs:
                continue
            self._lost.add(key)
            try:
                if key not in self._made_up:
                    self._lose(activity.thread)
                    self._made_up.add(key)
            finally:
                if key not in self._told:
                    self._note(activity)
                    self._told.add(key)

    def _run(self) -> None:
        while not self._stopping.wait(CHECK_SECONDS):
            if self._crash_file is not None:
                faulthandler.dump_traceback_later(FROZEN_SECONDS, exit=True, file=self._crash_file)
            try:
                self.check()
            except Exception:  # a full disk, say; without this watch the process would be taken for frozen
                log.exception("what runs could not be looked at, or noted; it is again, soon")

    def _note(self, activity: Activity) -> None:
        reason = f"it hangs: answering by it took more than {ANSWER_SECONDS:g} s"
        log.error("version %d of %s hangs while it answers", activity.version, activity.use_case)
        # Before others can act on the trouble: who waits for the version is told by whoever gives it up.
        self._give_up(activity.use_case, activity.version, reason)
        trouble = Trouble(activity.use_case, activity.version, HANG, WORDS[ANSWERING], time.time(), reason)
        try:
            self._troubles.add(trouble)
        finally:
            if activity.thread == self._loop_thread:
                log.error("the event loop hangs with it; this worker ends, and is started anew")
                self._end(EXIT_HUNG)
