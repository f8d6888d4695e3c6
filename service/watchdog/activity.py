"""What a worker runs now, in a file that outlives it.

When a worker dies of what a version does, nothing of the process is left to ask. So each thread writes what
it is about to run into a few bytes of a mapped file, and clears them afterwards: a crash leaves them behind.
"""

from __future__ import annotations

import fcntl
import json
import logging
import mmap
import os
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic_ns

from service.mapped_files import take_room

IDLE, ANSWERING, LOADING = 0, 1, 2
WORDS = {ANSWERING: "answering", LOADING: "loading"}
MARKS, CRASH = ".marks", ".crash"
_THREADS = 128
"""So many threads of a worker are watched; it has a dozen."""
_FIELDS = 5  # doing, use case, version, began, thread
_WIDTH = 8
_ELSEWHERE = -1
"""A use case that is not among those named."""
_HEAD = 64 * 1024
log = logging.getLogger("ratchet.service")


@dataclass(frozen=True)
class Activity:
    """One thread at work."""

    doing: int
    use_case: str
    version: int
    seconds: float
    thread: int
    """Its `threading.get_ident()`."""


class ActivityMarks:
    """The marks of this process; a thread has one at a time.

    Args:
        folder: of all workers of this home; made where it is missing.
        use_cases: names, by which `begin` refers to them: what is served, and what links ask versions of.
    """

    def __init__(self, folder: Path, use_cases: Sequence[str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.path = folder / f"{os.getpid()}-{secrets.token_hex(4)}{MARKS}"
        self.crash_path = self.path.with_suffix(CRASH)
        self._use_cases = tuple(use_cases)
        self._places = {name: place for place, name in enumerate(self._use_cases)}
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._map = self._laid_out(_HEAD + _THREADS * _FIELDS * _WIDTH)
        head = json.dumps(self._use_cases).encode()
        self._map[: len(head)] = head
        self._words = memoryview(self._map)[_HEAD:].cast("q")
        self._guard = threading.Lock()
        self._threads = 0
        self._local = threading.local()

    def _laid_out(self, size: int) -> mmap.mmap:
        """The file in memory; on a full disk memory alone, which is gone after a crash."""
        try:
            take_room(self._file, size)
        except OSError as error:
            log.warning("what this worker runs is not to be seen from outside: %s", error)
            return mmap.mmap(-1, size)
        return mmap.mmap(self._file, size)

    def begin(self, doing: int, use_case: str, version: int) -> memoryview:
        """Mark what this thread is about to run; set the first word of the result to `IDLE` afterwards."""
        try:
            mark: memoryview = self._local.mark
        except AttributeError:
            mark = self._local.mark = self._new_mark()
        mark[1] = self._places.get(use_case, _ELSEWHERE)
        mark[2] = version
        mark[3] = monotonic_ns()
        mark[0] = doing
        return mark

    @contextmanager
    def amid(self, doing: int, use_case: str, version: int) -> Iterator[None]:
        """Mark what this thread runs amid something else, whose mark comes back without the time between."""
        outer = list(getattr(self._local, "mark", ()))
        if outer:
            self._local.mark[0] = IDLE  # until all of the other is written, for whoever reads it
        mark = self.begin(doing, use_case, version)
        try:
            yield
        finally:
            mark[0] = IDLE
            if outer:
                mark[3] = outer[3] + monotonic_ns() - mark[3]
                mark[1], mark[2] = outer[1:3]
                mark[0] = outer[0]

    def running(self) -> list[Activity]:
        """What the threads of this process run now."""
        now = monotonic_ns()
        return [
            Activity(doing, self._use_cases[use_case], version, (now - began) / 1e9, thread)
            for doing, use_case, version, began, thread in _marks(self._words)
        ]

    def close(self) -> None:
        """Let go of the file, which is removed: this process ends of itself."""
        self.path.unlink(missing_ok=True)
        self.crash_path.unlink(missing_ok=True)
        os.close(self._file)

    def _new_mark(self) -> memoryview:
        with self._guard:
            place, self._threads = self._threads, self._threads + 1
        if place >= _THREADS:
            return memoryview(bytearray(_FIELDS * _WIDTH)).cast("q")
        mark = self._words[place * _FIELDS : (place + 1) * _FIELDS]
        mark[4] = threading.get_ident()
        return mark


def _marks(words: memoryview) -> Iterator[tuple[int, ...]]:
    """Those that are set: doing, use case, version, began, thread."""
    for start in range(0, len(words), _FIELDS):
        if words[start] != IDLE and words[start + 1] != _ELSEWHERE:
            yield tuple(words[start : start + _FIELDS])


def read_marks(path: Path) -> list[tuple[int, str, int]]:
    """What a process that has ended was running: doing, use case, version."""
    content = path.read_bytes()
    if len(content) != _HEAD + _THREADS * _FIELDS * _WIDTH:  # killed before it was laid out
        return []
    use_cases = json.loads(content[:_HEAD].rstrip(b"\0"))
    words = memoryview(content)[_HEAD:].cast("q")
    return [(doing, use_cases[use_case], version) for doing, use_case, version, _, _ in _marks(words)]
