"""What is running, as `<home>/stack.json` says: process ids with the time at which each began.

The file is a record for the next command, not the truth: a process counts only while it runs,
began when the record says, and carries the mark of this home (`flows.stack.processes`).
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from flows.servers.environment import MARK_HOME
from flows.stack.processes import environment_of, is_running

CLOCK_TOLERANCE = 2.0
"""Seconds by which the start of a process may seem to move when the clock is set."""


@dataclass(frozen=True)
class RecordedProcess:
    """One process: its id, and when it began (seconds since the epoch)."""

    pid: int
    began: float

    @classmethod
    def of(cls, process: psutil.Process) -> RecordedProcess:
        """The record of a live process."""
        return cls(process.pid, float(process.create_time()))

    def process(self, home: Path) -> psutil.Process | None:
        """The process while it runs and is the one that was recorded for `home`."""
        try:
            process = psutil.Process(self.pid)
            same_start = abs(process.create_time() - self.began) < CLOCK_TOLERANCE
            same_home = environment_of(process).get(MARK_HOME) == str(home)
        except (psutil.Error, OSError):
            return None
        return process if same_start and same_home and is_running(process) else None


def state_file(home: Path) -> Path:
    """Where the record of a home is."""
    return home / "stack.json"


def read_state(home: Path) -> dict[str, RecordedProcess]:
    """Recorded processes by server name; empty where there is no record or it is damaged."""
    try:
        raw = json.loads(state_file(home).read_text(encoding="utf-8"))
        return {
            name: RecordedProcess(int(entry["pid"]), float(entry["began"]))
            for name, entry in raw["servers"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def write_state(home: Path, servers: Mapping[str, RecordedProcess]) -> None:
    """Replace the record at once; a record of nothing is no file."""
    if not servers:
        state_file(home).unlink(missing_ok=True)
        return
    unfinished = home / f"stack.json.{os.getpid()}"
    text = json.dumps({"servers": {name: asdict(entry) for name, entry in servers.items()}}, indent=2)
    unfinished.write_text(text + "\n", encoding="utf-8")
    unfinished.replace(state_file(home))


def running(home: Path) -> dict[str, psutil.Process]:
    """The recorded servers that run."""
    processes = {name: recorded.process(home) for name, recorded in read_state(home).items()}
    return {name: process for name, process in processes.items() if process is not None}


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """One `up` or `down` of a home at a time; the lock ends with its process, however that ends."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "stack.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
