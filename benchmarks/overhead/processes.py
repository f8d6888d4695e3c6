"""CPU seconds of a stack's processes, by what they are for."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from flows.servers.environment import MARK_HOME, MARK_SERVER
from flows.stack.processes import environment_of, marked_processes

FLOW_RUNS = ("prefect.engine", "prefect.runner._workspace_supervisor", "flows.warm.client")


def cpu_seconds(home: Path) -> dict[str, float]:
    """Of each server of a stack with all that it has started, also what has ended and was waited for."""
    seconds: dict[str, float] = defaultdict(float)
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            environment = environment_of(process)
            if environment.get(MARK_HOME) == str(home):
                seconds[environment.get(MARK_SERVER, "other")] += _of(process)
    with contextlib.suppress(OSError, ValueError, StopIteration, psutil.Error):
        postmaster = int(next((home / "postgres").rglob("postmaster.pid")).read_text().splitlines()[0])
        parent = psutil.Process(postmaster)
        seconds["postgres"] = sum(_of(one) for one in (parent, *parent.children(recursive=True)))
    return dict(seconds)


def has_flow_runs(home: Path) -> bool:
    """Whether a process of a flow run is there, which says by its command what it is or stands for."""
    for process in marked_processes(home, "worker"):
        with contextlib.suppress(psutil.Error):
            if any(word in FLOW_RUNS for word in process.cmdline()):
                return True
    return False


def _of(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


@dataclass
class Spent:
    """What passed between two moments."""

    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """Of all processes."""
        return sum(self.seconds.values())


@contextlib.contextmanager
def measuring(home: Path) -> Iterator[Spent]:
    """What the processes of a stack spend meanwhile."""
    spent, before = Spent(), cpu_seconds(home)
    yield spent
    after = cpu_seconds(home)
    spent.seconds |= {name: round(after[name] - before.get(name, 0.0), 2) for name in sorted(after)}
