"""Dask clusters of real processes, for tests of work that goes to them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from configs.settings import CHECKOUT
from tests.ports import free_port

PATIENCE = 60.0


@dataclass
class DaskProcesses:
    """A scheduler and its workers, each a process with one thread and a folder of its own."""

    folder: Path
    port: int
    scheme: str = "tcp"
    options: Sequence[str] = ()
    """Of TLS, for each of them."""
    environment: Mapping[str, str] = field(default_factory=dict)
    host: str = "127.0.0.1"
    """Address that the scheduler listens on."""
    scheduler: subprocess.Popen[bytes] | None = None
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        """As a use case names it."""
        return f"{'tls' if self.scheme == 'tls' else 'dask'}://{self.host}:{self.port}"

    def start_scheduler(self) -> None:
        """Start it and wait until it listens."""
        self.scheduler = self._run(
            "scheduler", "--host", f"{self.scheme}://{self.host}", "--port", str(self.port), "--no-dashboard"
        )
        self._wait_for("scheduler", "Scheduler at")

    def add_worker(
        self,
        environment: Mapping[str, str] | None = None,
        *options: str,
        host: str = "127.0.0.1",
        inside: Sequence[str] = (),
    ) -> subprocess.Popen[bytes]:
        """Start one more worker and wait until the scheduler has it.

        Args:
            host: address that it listens on.
            inside: words before its command, such as `ip netns exec NAME`.
        """
        name = f"worker-{len(self.workers)}"
        home = self.folder / name
        home.mkdir()
        worker = self._run(
            name, f"{self.scheme}://{self.host}:{self.port}", "--nthreads", "1", "--no-nanny", "--name", name,
            "--no-dashboard", "--host", host, "--local-directory", str(home), *options,
            environment=environment, inside=inside,
        )  # fmt: skip
        self.workers.append(worker)
        self._wait_for(name, "Registered to")
        return worker

    def stop(self) -> None:
        """End whatever is left."""
        for process in (*self.workers, *([self.scheduler] if self.scheduler else [])):
            process.kill()
            process.wait(30)

    def log(self, name: str) -> str:
        """What a process has said."""
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def _run(
        self,
        name: str,
        *words: str,
        environment: Mapping[str, str] | None = None,
        inside: Sequence[str] = (),
    ) -> subprocess.Popen[bytes]:
        program = "dask_scheduler" if name == "scheduler" else "dask_worker"
        one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(CHECKOUT)}
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                [*inside, sys.executable, "-m", f"distributed.cli.{program}", *words, *self.options],
                env={**os.environ, **one_thread, **self.environment, **(environment or {})},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _wait_for(self, name: str, sentence: str) -> None:
        until = time.monotonic() + PATIENCE
        while sentence not in self.log(name):
            assert time.monotonic() < until, self.log(name)
            time.sleep(0.05)


@contextmanager
def dask_processes(
    folder: Path,
    workers: int,
    *,
    scheme: str = "tcp",
    options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[DaskProcesses]:
    """A cluster of so many workers, gone afterwards."""
    folder.mkdir(exist_ok=True)
    cluster = DaskProcesses(folder, free_port(), scheme, options, environment or {})
    try:
        cluster.start_scheduler()
        for _ in range(workers):
            cluster.add_worker()
        yield cluster
    finally:
        cluster.stop()
