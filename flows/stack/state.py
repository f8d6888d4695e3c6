"""What is running, as `<home>/stack.json` says: process ids with the time at which each began.

The file is a record for the next command, not the truth: a process counts only while it runs,
began when the record says, and carries the mark of this home (`flows.stack.processes`).
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import get_ident
from typing import Any

import psutil

from flows.servers.environment import MARK_HOME
from flows.stack.processes import environment_of, is_running
from store.supervision import birth_of, is_alive, is_same

LOCK_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class RecordedProcess:
    """One process: its id, and when it began, in seconds since the epoch and by the time since boot."""

    pid: int
    began: float
    birth: str = ""

    @classmethod
    def of(cls, process: psutil.Process) -> RecordedProcess:
        """The record of a live process."""
        return cls(process.pid, float(process.create_time()), birth_of(process))

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> RecordedProcess:
        """The record as the file has it."""
        return cls(int(entry["pid"]), float(entry["began"]), str(entry.get("birth", "")))

    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return is_alive(self.pid, self.began, self.birth)

    def process(self, home: Path) -> psutil.Process | None:
        """The process while it runs and is the one that was recorded for `home`."""
        try:
            process = psutil.Process(self.pid)
            same_start = is_same(process, self.began, self.birth)
            same_home = environment_of(process).get(MARK_HOME) == str(home)
        except (psutil.Error, OSError):
            return None
        return process if same_start and same_home and is_running(process) else None


def state_file(home: Path) -> Path:
    """Where the record of a home is."""
    return home / "stack.json"


def read_state(home: Path) -> dict[str, RecordedProcess]:
    """Recorded processes by server name; empty where there is no record or it is damaged."""
    return _read(home)[0]


def read_supervisor(home: Path) -> RecordedProcess | None:
    """Who watches the servers, as far as it still runs; after a restart of the machine nobody does."""
    recorded = _read(home)[1]
    return recorded if recorded is not None and recorded.is_alive() else None


def write_state(home: Path, servers: Mapping[str, RecordedProcess]) -> None:
    """Replace the record of the servers at once; a record of nothing is no file."""
    if not servers:
        state_file(home).unlink(missing_ok=True)
        return
    _write(home, servers, read_supervisor(home))


def write_supervisor(home: Path, supervisor: RecordedProcess | None) -> None:
    """Write down who watches from now on; whoever did before ends without touching anything."""
    _write(home, read_state(home), supervisor)


def running(home: Path) -> dict[str, psutil.Process]:
    """The recorded servers that run."""
    processes = {name: recorded.process(home) for name, recorded in read_state(home).items()}
    return {name: process for name, process in processes.items() if process is not None}


@contextmanager
def locked(home: Path, unless: Callable[[], bool] = lambda: False) -> Iterator[bool]:
    """One process changes what runs in a home at a time; the lock ends with its process, however that ends.

    Args:
        unless: asked while another process has the lock; once it is true, the lock is not waited for.

    Yields:
        Whether the lock is held.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / "stack.lock").open("w") as file:
        while not (held := _try_lock(file.fileno())) and not unless():
            time.sleep(LOCK_POLL_SECONDS)
        yield held


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(home: Path) -> tuple[dict[str, RecordedProcess], RecordedProcess | None]:
    try:
        raw = json.loads(state_file(home).read_text(encoding="utf-8"))
        servers = {name: RecordedProcess.read(entry) for name, entry in raw["servers"].items()}
        supervisor = raw.get("supervisor")
        return servers, None if supervisor is None else RecordedProcess.read(supervisor)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}, None


def _write(home: Path, servers: Mapping[str, RecordedProcess], supervisor: RecordedProcess | None) -> None:
    record: dict[str, Any] = {"servers": {name: asdict(entry) for name, entry in servers.items()}}
    if supervisor is not None:
        record["supervisor"] = asdict(supervisor)
    unfinished = home / f"stack.json.{os.getpid()}.{get_ident()}"
    unfinished.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(state_file(home))
