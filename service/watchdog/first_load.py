"""Loads a version in one worker of the home before the others: if it kills that one, the rest go on.

The first worker holds a lock while it loads. The others wait for it, and find either that the version has
been proved, or why it may not serve. A process that crashes lets go of its files one by one: the lock may be
free before its marks tell of the crash, so whoever takes the lock from one that has not come to an end waits
until that process is gone.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil

from models.errors import ModelError

T = TypeVar("T")
LOAD_SECONDS = 60.0
"""A version that takes longer to load will not come to an end."""
POLL_SECONDS = 0.005
END_SECONDS = 10.0
"""A process that has let go of the lock is gone by then, however much memory it gives back."""
_MOST_BYTES = 1000


class VersionUnfit(ModelError):
    """A version that did harm to workers of this home."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"{reason}; promote another version, or make this one production again to have it tried anew"
        )


class LoadHangs(ModelError):
    """A version that does not come to an end of loading."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"it hangs: loading it took more than {seconds:g} s")


def load_first(lock_path: Path, name: str, load: Callable[[], T], *, patience: float = LOAD_SECONDS) -> T:
    """What `load` returns; alone, until some worker has proved that it can be done.

    Args:
        lock_path: of the use case; made where it is missing.
        name: what the version's bytes are known by.
        load: looks at what is held against the version, then loads it.
        patience: seconds to wait for a worker that loads it already.
    """
    lock_path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        is_alone = not _is_proved(lock, name) and _wait_for(lock, name, patience)
        if is_alone:
            _await_end(lock)
            _write(lock, _read(lock)[0], _told(psutil.Process()))
        try:
            loaded = load()
        except BaseException:
            if is_alone:
                _write(lock, _read(lock)[0])
            raise
        if not _is_proved(lock, name):
            _write(lock, name.encode())
        return loaded
    finally:
        os.close(lock)


def _is_proved(lock: int, name: str) -> bool:
    """Whether the version that some worker loaded last is this one."""
    return _read(lock)[0] == name.encode()


def _wait_for(lock: int, name: str, patience: float) -> bool:
    """Take the lock; False: go on without it, as the wait is long or the version was proved meanwhile."""
    until = time.monotonic() + patience
    while time.monotonic() < until and not _is_proved(lock, name):
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(POLL_SECONDS)
    return False


def _await_end(lock: int) -> None:
    """Where whoever held the lock has not come to an end of loading, wait until its process is gone."""
    begun = _read(lock)[1]
    if not begun:
        return
    until = time.monotonic() + END_SECONDS
    with suppress(psutil.NoSuchProcess):
        before = psutil.Process(int(begun.split()[0]))
        while _told(before) == begun and not _has_ended(before) and time.monotonic() < until:
            time.sleep(POLL_SECONDS)


def _has_ended(process: psutil.Process) -> bool:
    """Whether all its threads have: its first may be a zombie while another still has the files open."""
    return bool(process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1)


def _told(process: psutil.Process) -> bytes:
    """What tells of a process that it has begun; its number alone may be another's by now."""
    return b"%d %d" % (process.pid, round(1000 * process.create_time()))


def _read(lock: int) -> tuple[bytes, bytes]:
    """Which version was proved last, and the process that has begun to load another; empty where none is."""
    proved, _, begun = os.pread(lock, _MOST_BYTES, 0).partition(b"\n")
    return proved, begun


def _write(lock: int, proved: bytes, begun: bytes = b"") -> None:
    os.ftruncate(lock, 0)
    os.pwrite(lock, proved + b"\n" + begun if begun else proved, 0)


def within(seconds: float, work: Callable[[], T]) -> T:
    """What `work` returns, from a thread that is left behind where it takes longer than `seconds`.

    Raises:
        LoadHangs: it takes longer.
    """
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append((work(), None))
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            outcome.append((None, error))

    thread = threading.Thread(target=run, name="load", daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise LoadHangs(seconds)
    result, error = outcome[0]
    if error is not None:
        raise error
    value: T = result
    return value
