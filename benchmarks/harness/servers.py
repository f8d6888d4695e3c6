"""The servers that are measured: how to start, probe, weigh and stop one."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil

from configs.settings import CHECKOUT

Images = Sequence[Any]
START_SECONDS = 90.0
PROBE_SECONDS = 15.0
"""On a busy machine a first answer takes BentoML's batcher more than five."""


@dataclass(frozen=True)
class Peer:
    """A server: its command, and the request that it answers."""

    name: str
    command: list[str]
    port: int
    path: str
    body: Callable[[Images], str]
    """The request that carries these images."""
    environ: Mapping[str, str] = field(default_factory=dict)
    cwd: Path = CHECKOUT
    headers: Mapping[str, str] = field(default_factory=dict)
    """What its callers send beside the body."""


@dataclass(frozen=True)
class Memory:
    """Of one process, in MB."""

    resident: float
    proportional: float
    """What it shares with others counted in part (PSS, on Linux)."""


class Running:
    """A peer that has been started."""

    def __init__(self, peer: Peer, folder: Path, probe: Images) -> None:
        self.peer = peer
        self.log = folder / f"{peer.name.replace(' ', '-').replace('/', '-')}.log"
        started = time.monotonic()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                peer.command, env=os.environ | peer.environ, cwd=peer.cwd, stdout=log, stderr=log
            )
        self._wait(peer.body(probe))
        self.ready_seconds = time.monotonic() - started

    def memory(self) -> Memory:
        """Memory of the process that answers: the largest of its family."""
        sizes = [process.memory_full_info() for process in self._family()]
        largest = max(sizes, key=lambda size: int(size.rss))
        return Memory(largest.rss / 1e6, getattr(largest, "pss", largest.uss) / 1e6)

    def cpu_seconds(self) -> float:
        """CPU that it and all that it started have used, those that ended left out."""
        times = [process.cpu_times() for process in self._family()]
        return float(sum(time.user + time.system for time in times))

    def stop(self) -> None:
        """End it and all that it started."""
        if self.process.poll() is not None:
            return
        family = self._family()
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
        _, alive = psutil.wait_procs(family, timeout=5)
        for process in alive:
            process.kill()

    def _family(self) -> list[psutil.Process]:
        process = psutil.Process(self.process.pid)
        return [process, *process.children(recursive=True)]

    def _wait(self, body: str) -> None:
        """Until it answers a real request."""
        call = Request(
            f"http://127.0.0.1:{self.peer.port}{self.peer.path}",
            data=body.encode(),
            headers={"content-type": "application/json", **self.peer.headers},
        )
        deadline = time.monotonic() + START_SECONDS
        why = ""
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.peer.name} ended: {self._last_words()}")
            try:
                with urlopen(call, timeout=PROBE_SECONDS):
                    return
            except HTTPError as error:
                why = f"{error.code} {error.read(500)!r}"
            except OSError as error:
                why = str(error)
            time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"{self.peer.name} does not answer ({why}): {self._last_words()}")

    def _last_words(self) -> str:
        return " ".join(self.log.read_text(errors="replace").splitlines()[-3:])


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
