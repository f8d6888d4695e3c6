"""Loads a version in one worker of the home before the others: if it kills that one, the rest go on.

The first worker holds a lock while it loads. The others wait for it, and find either that the version has
been proved, or why it may not serve. A process that crashes lets go of its files one by one: the lock may be
free before its marks tell of the crash, so whoever takes the lock from one that has not come to an end waits
until that process is gone.

A load that takes long is no fault of the version by that: a busy machine, or a disk that stalls, takes long
over any. It goes on in a thread of its own, others wait for it, and only what takes very long hangs.
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

from models.errors import CannotLoadNow, ModelError
from store.supervision import birth_of

T = TypeVar("T")
LOAD_SECONDS = 60.0
"""So long a load is waited for; then whoever waits does something else meanwhile, and asks again."""
HANG_SECONDS = 600.0
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


class LoadGoesOn(CannotLoadNow):
    """A version that takes long to load, here or in another worker of this home; to be asked for again."""

    def __init__(self) -> None:
        cause = TimeoutError(f"loading it takes more than {LOAD_SECONDS:g} s, and goes on")
        super().__init__(cause)
        self.__cause__ = cause


def load_first(lock_path: Path, name: str, load: Callable[[], T], *, patience: float = LOAD_SECONDS) -> T:
    """What `load` returns; alone, until some worker has proved that it can be done.

    Args:
        lock_path: of the use case; made where it is missing.
        name: what the version's bytes are known by.
        load: looks at what is held against the version, then loads it.
        patience: seconds to wait for a worker that loads it already.

    Raises:
        LoadGoesOn: it does not come to an end soon, here or in the worker that loads it.
    """
    lock_path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        is_alone = not _is_proved(lock, name) and _wait_for(lock, name, patience)
        if not is_alone and not _is_proved(lock, name):
            raise LoadGoesOn
        if is_alone:
            _await_end(lock)
            _write(lock, _read(lock)[0], _told(psutil.Process()))
        try:
            loaded = load()
        except LoadGoesOn:  # which the next one finds in the file
            raise
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
    """Take the lock; False: the wait is long, or the version was proved meanwhile."""
    until = time.monotonic() + patience
    while time.monotonic() < until and not _is_proved(lock, name):
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(POLL_SECONDS)
    return False


def _await_end(lock: int) -> None:
    """Where whoever held the lock has not come to an end of loading, wait until its process is gone.

    Raises:
        LoadGoesOn: it is another process, which is there still.
    """
    begun = _read(lock)[1]
    if not begun or begun == _told(psutil.Process()):
        return
    until = time.monotonic() + END_SECONDS
    with suppress(psutil.NoSuchProcess):
        before = psutil.Process(int(begun.split()[0]))
        while _told(before) == begun and not _has_ended(before):
            if time.monotonic() > until:
                raise LoadGoesOn
            time.sleep(POLL_SECONDS)


def _has_ended(process: psutil.Process) -> bool:
    """Whether all its threads have: its first may be a zombie while another still has the files open."""
    return bool(process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1)


def _told(process: psutil.Process) -> bytes:
    """What tells of a process that it has begun; its number alone may be another's by now."""
    began = birth_of(process) or str(round(1000 * process.create_time()))
    return f"{process.pid} {began}".encode()


def _read(lock: int) -> tuple[bytes, bytes]:
    """Which version was proved last, and the process that has begun to load another; empty where none is."""
    proved, _, begun = os.pread(lock, _MOST_BYTES, 0).partition(b"\n")
    return proved, begun


def _write(lock: int, proved: bytes, begun: bytes = b"") -> None:
    os.ftruncate(lock, 0)
    os.pwrite(lock, proved + b"\n" + begun if begun else proved, 0)


class Loads:
    """Loads of one worker, each in a thread of its own that goes on where it takes long; for one thread."""

    def __init__(self) -> None:
        self._going_on: dict[tuple[str, str], _Load] = {}

    def result(self, use_case: str, name: str, work: Callable[[], T]) -> T:
        """What `work` returns; or what that of an earlier call did, which was still going on then.

        Args:
            name: what the version's bytes are known by.

        Raises:
            LoadGoesOn: it has not come to an end yet.
            LoadHangs: it has taken so long that it will not; the next call begins anew.
        """
        # What came to an end, and is asked for no more as another version is, is not kept.
        kept = {key: one for key, one in self._going_on.items() if key[0] != use_case or one.is_going_on}
        load = self._going_on.get((use_case, name))
        seconds = 0.0
        if load is None:
            load, seconds = _Load(work), LOAD_SECONDS
        self._going_on = {key: one for key, one in kept.items() if key != (use_case, name)}
        load.thread.join(seconds)
        if load.outcome is None:
            if time.monotonic() - load.began > HANG_SECONDS:
                raise LoadHangs(HANG_SECONDS)
            self._going_on[use_case, name] = load
            raise LoadGoesOn
        result, error = load.outcome
        if error is not None:
            raise error
        value: T = result
        return value


class _Load:
    """One of them."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.outcome: tuple[Any, BaseException | None] | None = None
        self.began = time.monotonic()
        self.thread = threading.Thread(target=self._run, args=(work,), name="load", daemon=True)
        self.thread.start()

    @property
    def is_going_on(self) -> bool:
        return self.outcome is None

    def _run(self, work: Callable[[], Any]) -> None:
        try:
            self.outcome = work(), None
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            self.outcome = None, error
