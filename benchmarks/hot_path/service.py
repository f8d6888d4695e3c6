"""The service that is measured: set up as `ratchet up` does, with keys, log and metrics; and its CPU."""

from __future__ import annotations

import json
import re
import shutil
import sys
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Self
from urllib.request import Request, urlopen

import psutil

from benchmarks.harness import recipes
from benchmarks.harness.load import Outcome, Plan, put_load
from benchmarks.harness.model import as_json
from benchmarks.harness.servers import Running
from benchmarks.hot_path.records import FOLDER, KINDS, PICTURE, artifacts, requests_of
from configs.settings import CHECKOUT
from service.metrics import WRITE_SECONDS

DIFFERENT = 256
"""Bodies that are sent in turn."""


@dataclass(frozen=True)
class Cpu:
    """Seconds of CPU that processes have used."""

    loop: float
    """By the main threads of the workers: event loops."""
    threads: float
    """By their other threads: batches, the log, what watches."""
    others: float
    """By other processes of the service: the one that starts the workers, and those that workers started."""
    database: float

    def since(self, before: Self) -> Cpu:
        """What was used since then."""
        return Cpu(
            self.loop - before.loop,
            self.threads - before.threads,
            self.others - before.others,
            self.database - before.database,
        )

    @property
    def service(self) -> float:
        """By the service as a whole."""
        return self.loop + self.threads + self.others


@dataclass(frozen=True)
class Load:
    """What a load cost: microseconds of CPU a request."""

    outcome: Outcome
    requests: int
    """All, those of the warm-up too."""
    batch_rows: float
    """Mean rows in one call of the model."""
    loop: float
    threads: float
    others: float
    database: float

    @property
    def service(self) -> float:
        """By the service as a whole."""
        return self.loop + self.threads + self.others


class MeasuredService:
    """One worker that serves all kinds, with a database of its own.

    Args:
        checkout: whose code it runs.
    """

    def __init__(self, name: str, folder: Path, stack: ExitStack, checkout: Path = CHECKOUT) -> None:
        self.name = name
        folder.mkdir(parents=True)
        made = artifacts()
        postgres, home = recipes.ratchet_home(folder, [made[PICTURE]], PICTURE)
        stack.callback(postgres.stop)
        self.home, self.database_url = home, postgres.url
        for kind in KINDS.keys() - {PICTURE}:
            cache = home / "cache" / "models" / kind
            cache.mkdir(parents=True)
            shutil.copytree(made[kind], cache / "1")
            (cache / "serving.json").write_text(json.dumps({"version": 1}))
        peer = recipes.ratchet(home, postgres.url, keys=True)
        environ = {
            **peer.environ,
            "RATCHET_USE_CASES": ",".join(KINDS),
            "RATCHET_CONFIGS": str(FOLDER),
            "PYTHONPATH": str(checkout),
        }
        python = checkout / ".venv" / "bin" / "python"
        command = [str(python) if python.exists() else sys.executable, *peer.command[1:]]
        self.peer = replace(peer, command=command, cwd=checkout, environ=environ)
        self.running = Running(self.peer, folder, [requests_of(PICTURE, 1)[0]["image"]])
        stack.callback(self.running.stop)
        self._postmaster = int((home / "postgres" / "data" / "postmaster.pid").read_text().split()[0])

    def cpu(self) -> Cpu:
        """What has been used by now."""
        parent = psutil.Process(self.running.process.pid)
        workers = parent.children()
        below = [one for worker in workers for one in worker.children(recursive=True)]
        database = psutil.Process(self._postmaster)
        loop = threads = 0.0
        for worker in workers:
            for thread in worker.threads():
                used = thread.user_time + thread.system_time
                if thread.id == worker.pid:
                    loop += used
                else:
                    threads += used
        return Cpu(
            loop,
            threads,
            sum(map(used_by, [parent, *below])),
            sum(map(used_by, [database, *database.children(recursive=True)])),
        )

    def batches(self, kind: str) -> tuple[float, float]:
        """Rows and calls of the model so far, as /metrics tells, a little after they were."""
        sleep(2 * WRITE_SECONDS)
        call = Request(f"http://127.0.0.1:{self.peer.port}/metrics", headers=dict(self.peer.headers))
        with urlopen(call, timeout=10) as answer:
            text = answer.read().decode()
        found = [
            re.search(rf'^ratchet_batch_rows_{part}{{use_case="{kind}"}} (\S+)$', text, re.MULTILINE)
            for part in ("sum", "count")
        ]
        rows, calls = (0.0 if one is None else float(one[1]) for one in found)
        return rows, calls

    def put_load(self, kind: str, connections: int, seconds: float) -> Load:
        """One load, from a process of its own, and what it cost."""
        plan = Plan(
            self.peer.port,
            f"/v1/{kind}/predict",
            [as_json({"records": [record]}) for record in requests_of(kind, DIFFERENT)],
            connections,
            seconds,
            headers=self.peer.headers,
        )
        rows, calls = self.batches(kind)
        cpu, began = self.cpu(), monotonic()
        outcome = put_load(plan)
        used = self.cpu().since(cpu)
        rows_now, calls_now = self.batches(kind)
        requests = int(rows_now - rows)
        if outcome.failed or monotonic() - began < seconds or not requests:
            raise RuntimeError(f"{self.name}: {kind} at {connections} connections: {outcome.statuses}")
        return Load(
            outcome,
            requests,
            requests / (calls_now - calls),
            *(1e6 * part / requests for part in (used.loop, used.threads, used.others, used.database)),
        )


def used_by(process: psutil.Process) -> float:
    """Seconds of CPU of a process, and of those that it started and that have ended."""
    times: Any = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)
