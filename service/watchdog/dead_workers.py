"""Finds out what killed workers that are gone: a version, or something else.

A crash (SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL) writes a traceback before the process ends, by
`faulthandler`; a kill from outside writes nothing, whatever was being done then, and is no version's fault.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

from service.watchdog.activity import CRASH as CRASH_SUFFIX
from service.watchdog.activity import MARKS, WORDS, read_marks
from service.watchdog.troubles import CRASH, HANG, Trouble, Troubles

_TIMEOUT = "Timeout"
"""How the traceback begins where the process ended itself because nothing in it moved."""
log = logging.getLogger("ratchet.service")


def note_crashes(folder: Path, troubles: Troubles) -> None:
    """Add what workers of this home have died of to what is held against versions."""
    for trouble in collect_crashes(folder, time.time()):
        troubles.add(trouble)


def collect_crashes(folder: Path, now: float) -> Iterator[Trouble]:
    """Troubles that workers died of since the last call by any process of this home.

    Args:
        folder: where workers have their marks; those of the dead are removed.
        now: seconds since the epoch.
    """
    for path in sorted(folder.glob(f"*{MARKS}")):
        lock = _lock_of_the_dead(path)
        if lock is None:
            continue
        try:
            last_words = _last_words(path.with_suffix(CRASH_SUFFIX))
            if last_words:
                log.error("a worker crashed:\n%s", last_words)
                yield from _troubles(path, last_words.splitlines()[0].strip(), now)
        finally:
            path.unlink(missing_ok=True)
            path.with_suffix(CRASH_SUFFIX).unlink(missing_ok=True)
            os.close(lock)


def _lock_of_the_dead(path: Path) -> int | None:
    """The lock of marks whose process has ended, now held; None while it lives."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:  # another worker has collected it
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.exists():
            return lock
    except OSError:
        pass
    os.close(lock)
    return None


def _last_words(path: Path) -> str:
    """What the process wrote when it crashed; empty where it did not."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        return ""


def _troubles(path: Path, headline: str, now: float) -> Iterator[Trouble]:
    kind, verb = (HANG, "hung") if headline.startswith(_TIMEOUT) else (CRASH, "crashed")
    for doing, use_case, version in read_marks(path):
        word = WORDS[doing]
        detail = f"a worker {verb} {'loading' if word == 'loading' else 'while answering by'} it: {headline}"
        yield Trouble(use_case, version, kind, word, now, detail)
