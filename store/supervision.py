"""What keeps the servers of a home running, as a file: who watches, and how each server fares.

The supervisor writes it, whole, whenever something changes; command, worker and service read it. A file and
not a table, as it has to tell of a database that is down.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import psutil

CLOCK_TOLERANCE = 2.0
"""Seconds by which the start of a process may seem to move when the clock is set."""
BOOT = Path("/proc/sys/kernel/random/boot_id")
"""Where Linux names the boot that time is counted from."""
MOST_EVENTS = 50
"""Of those that are kept, for whoever has not read them yet."""

State = Literal["running", "starting", "waiting"]
"""Of a server; `waiting`: for the next attempt to start it."""


@dataclass(frozen=True)
class ServerStanding:
    """How one server fares; times in seconds since the epoch."""

    state: State
    since: float
    failures: int = 0
    """Attempts in a row after which it did not serve."""
    deaths: int = 0
    """Times that it ended within the last minutes."""
    reason: str = ""
    """Why it ended, or did not start, the last time."""
    retry_at: float | None = None

    def describe(self) -> str:
        """In one sentence, for people."""
        if self.state == "running":
            return f"it ended {self.deaths} times within minutes; the last time: {self.reason}"
        return f"it is down: {self.reason or 'it ended'}; attempts in a row that failed: {self.failures}"


@dataclass(frozen=True)
class ServerEvent:
    """Something that people may want to be told: a server keeps failing (`down`), or is `back`."""

    at: float
    server: str
    kind: Literal["down", "back"]
    reason: str

    @property
    def name(self) -> str:
        """Tells it from all others."""
        return f"{self.server}:{self.kind}:{self.at:.3f}"


@dataclass(frozen=True)
class Supervision:
    """The whole file."""

    pid: int
    began: float
    """When the supervisor did, as its process id may be somebody else's by now."""
    servers: Mapping[str, ServerStanding] = field(default_factory=dict)
    events: tuple[ServerEvent, ...] = ()
    birth: str = ""
    """The same by the time since boot (`birth_of`)."""

    def is_alive(self) -> bool:
        """Whether the process that wrote it still watches."""
        return is_alive(self.pid, self.began, self.birth)

    def troubles(self) -> dict[str, str]:
        """Server -> what is wrong with it."""
        return {
            name: one.describe()
            for name, one in self.servers.items()
            if one.state == "waiting" or one.failures or one.deaths > 1
        }


def birth_of(process: psutil.Process) -> str:
    """When a process began, in ticks since the boot that is named; empty where the system is not Linux.

    Unlike its time of day it stays the same when the clock is set.

    Raises:
        psutil.NoSuchProcess: it is gone.
    """
    try:
        boot = BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""
    try:
        entry = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise psutil.NoSuchProcess(process.pid) from error
    ticks = entry.rpartition(")")[2].split()[19]  # of the 22 first fields, the name in brackets is the second
    return f"{boot} {ticks}"


def age_of(process: psutil.Process) -> float:
    """Seconds since a process began, whatever the clock was set to meanwhile; by the clock off Linux.

    Raises:
        psutil.Error: it is gone.
    """
    birth = birth_of(process)
    if not birth:
        return time.time() - float(process.create_time())
    ticks = int(birth.split()[1])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def is_same(process: psutil.Process, began: float, birth: str) -> bool:
    """Whether a process is the one that began then; by the clock where its birth was not written down.

    Raises:
        psutil.Error: it is gone.
    """
    if birth:
        return birth_of(process) == birth
    return bool(abs(process.create_time() - began) < CLOCK_TOLERANCE)


def is_alive(pid: int, began: float, birth: str = "") -> bool:
    """Whether the process that has this id is the one that began then, and has not ended."""
    try:
        process = psutil.Process(pid)
        return is_same(process, began, birth) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def supervision_file(home: Path) -> Path:
    """Where it is."""
    return home / "supervision.json"


def write_supervision(home: Path, supervision: Supervision) -> None:
    """Replace the file at once."""
    file = supervision_file(home)
    unfinished = file.with_name(f"{file.name}.{os.getpid()}")
    unfinished.write_text(json.dumps(asdict(supervision), indent=1) + "\n", encoding="utf-8")
    unfinished.replace(file)


def read_supervision(home: Path) -> Supervision | None:
    """What is written; None where nobody has watched, or the file is damaged."""
    try:
        raw: dict[str, Any] = json.loads(supervision_file(home).read_text(encoding="utf-8"))
        return Supervision(
            pid=int(raw["pid"]),
            began=float(raw["began"]),
            servers={name: ServerStanding(**one) for name, one in raw["servers"].items()},
            events=tuple(ServerEvent(**one) for one in raw["events"]),
            birth=str(raw.get("birth", "")),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def supervision_problem(home: Path) -> str | None:
    """What is wrong with the servers of a home that are watched, or were: None where all is well."""
    supervision = read_supervision(home)
    if supervision is None:
        return None
    if not supervision.is_alive():
        return "nobody watches the servers: the supervisor is gone; `ratchet up` starts one"
    return "; ".join(f"{name}: {trouble}" for name, trouble in supervision.troubles().items()) or None
