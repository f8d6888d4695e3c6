"""A whole stack, driven by the command as a person drives it, with its callers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from configs.settings import CHECKOUT, Settings, read_settings
from flows.stack.processes import marked_processes
from store.database.connection import connect, database_url
from store.database.processes import processes_in
from tests.e2e.apples import CONFIG, USE_CASE, write_apples
from tests.faults.callers import Callers
from tests.ports import free_port

THEIRS = ("RATCHET", "PREFECT", "MLFLOW", "BENTOML")
ALL_WELL = 180.0
WELL_FOR = 1.5
"""Seconds for which all has to be well."""


@dataclass
class Watched:
    """What was seen while a fault lasted."""

    began: float
    """`time.monotonic()`"""
    troubles: set[str] = field(default_factory=set)
    """What `/health` named: dependencies that are not ok, and `problem`, `refused`, `journal`."""
    named: set[str] = field(default_factory=set)
    """By the last look alone; what one look names, and the next does not, came of a busy machine."""
    last_bad: float = 0.0
    """When `/health` was not `ok`, or did not answer, for the last time (`time.monotonic()`)."""

    def look(self, health: Mapping[str, Any]) -> None:
        """Add what `/health` names now."""
        if health.get("status") != "ok":
            self.last_bad = time.monotonic()
        named = {name for name, state in health.get("dependencies", {}).items() if not state["ok"]}
        for use_case in health.get("use_cases", {}).values():
            named |= {name for name in ("problem", "refused") if use_case.get(name)}
        if "problem" in health.get("journal", {}):
            named.add("journal")
        self.troubles |= named & self.named
        self.named = named


@dataclass
class Installation:
    """A home, ports of its own, and one use case."""

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    config: str = CONFIG
    environment: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{USE_CASE}.yaml").write_text(self.config, encoding="utf-8")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(THEIRS)},
            "RATCHET_HOME": str(self.folder / "home"),
            "RATCHET_CONFIGS": str(self.folder),
            "RATCHET_USE_CASES": USE_CASE,
            "RATCHET_PORT": str(free_port()),
            "RATCHET_MLFLOW_PORT": str(free_port()),
            "RATCHET_PREFECT_PORT": str(free_port()),
            **self.variables,
        }

    @property
    def home(self) -> Path:
        return Path(self.environment["RATCHET_HOME"])

    @property
    def settings(self) -> Settings:
        return read_settings(self.environment)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.environment['RATCHET_PORT']}"

    def run(self, *words: str, code: int | None = 0, seconds: float = 240) -> str:
        """Output of a command; `code` is what it must end with, None: anything."""
        done = subprocess.run(
            [str(Path(sys.executable).with_name("ratchet")), *words],
            env=self.environment,
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=seconds,
        )
        assert code is None or done.returncode == code, f"{words} ended with {done.returncode}: {done.stdout}"
        return done.stdout

    @contextmanager
    def started(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """A command that goes on; ended at the end."""
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("ratchet")), *words],
            env=self.environment,
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        with process:
            try:
                yield process
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def processes(self, server: str) -> list[psutil.Process]:
        """Those of a server, PostgreSQL's postmaster first."""
        if server == "postgres":
            pids = processes_in(self.home / "postgres" / "data")
            return [psutil.Process(pid) for pid in sorted(pids)]
        return marked_processes(self.home, server)

    def forget_deaths(self) -> None:
        """Have another supervisor watch: `/health` names a server that died twice within minutes, rightly."""
        self.kill("supervisor")
        self.run("up", "--detach")
        self.wait_until_well()

    def kill(self, server: str) -> None:
        """kill -9 of all processes of a server at once."""
        self.signal(server, signal.SIGKILL)

    def signal(self, server: str, number: signal.Signals) -> None:
        """Send a signal to all processes of a server."""
        for process in self.processes(server):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def health(self) -> dict[str, Any]:
        """What `/health` answers; nothing where the service does not."""
        try:
            told: dict[str, Any] = httpx.get(f"{self.url}/health", timeout=5).json()
        except (httpx.TransportError, json.JSONDecodeError):
            return {}
        return told

    def wait_until_well(self, watched: Watched | None = None, seconds: float = ALL_WELL) -> None:
        """Until `/health` has been ok for a while: each of the service's processes looks for itself."""
        watched = watched or Watched(time.monotonic())
        until = time.monotonic() + seconds
        well_since = None
        while well_since is None or time.monotonic() - well_since < WELL_FOR:
            told = self.health()
            watched.look(told)
            well_since = (well_since or time.monotonic()) if told.get("status") == "ok" else None
            assert time.monotonic() < until, told
            time.sleep(0.1)

    def connect(self) -> psycopg.Connection[Any]:
        """A connection to its database."""
        return connect(database_url(self.settings), autocommit=True)

    def left(self) -> list[int]:
        """Processes of this installation, PostgreSQL's included."""
        return [process.pid for process in marked_processes(self.home)] + sorted(
            processes_in(self.home / "postgres" / "data")
        )


@contextmanager
def running(folder: Path, config: str = CONFIG, **variables: str) -> Iterator[Installation]:
    """An installation that is up and has a production model; stopped at the end."""
    installation = Installation(folder, variables, config)
    try:
        installation.run("up", "--detach")
        data = write_apples(folder / "first.csv", 600, edge=0.5)
        installation.run("ingest", USE_CASE, str(data))
        installation.run("retrain", USE_CASE)
        installation.wait_until_well()
        yield installation
    finally:
        installation.run("down", code=None)
        assert installation.left() == []


def watch_for(
    installation: Installation, seconds: float, until: Callable[[], bool] = lambda: False
) -> Watched:
    """Look at `/health` again and again."""
    watched = Watched(time.monotonic())
    end = time.monotonic() + seconds
    while time.monotonic() < end and not until():
        watched.look(installation.health())
        time.sleep(0.1)
    return watched


@contextmanager
def callers_of(installation: Installation, edge: float = 0.5) -> Iterator[Callers]:
    """Callers, all of whom are answered at the start."""
    with Callers(installation.url, edge=edge) as callers:
        callers.wait_for_good()
        yield callers
