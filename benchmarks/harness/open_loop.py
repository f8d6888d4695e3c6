"""Load that does not wait for answers: requests leave by the clock, as those of many independent callers do.

A request takes a connection that is free, else opens one. Latency is from the moment when the request
was due. It runs in a process of its own, like the closed loop of `benchmarks.harness.load`, whose connections
it uses.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, NamedTuple, Self

import numpy as np
import uvloop

from benchmarks.harness.load import Connection, Plan
from configs.settings import CHECKOUT

TICK_SECONDS = 0.002
DRAIN_SECONDS = 5.0
"""How long answers are waited for after the last request."""


@dataclass(frozen=True)
class OpenPlan:
    """What to send, how often, and over how many connections at most (`plan.connections`)."""

    plan: Plan
    rate: float
    """Requests a second."""
    slice_seconds: float = 60.0
    """Of each such stretch the latency is told too."""


class Slice(NamedTuple):
    """One stretch of the load, by when its requests were due: answers with 200, and their latency."""

    answered: int
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class OpenOutcome:
    """What became of the requests."""

    due: int
    """Requests that should have left."""
    not_sent: int
    """Those of them for which no connection was free."""
    statuses: dict[str, int]
    without_retry_after: int
    """Refusals, 429 and 503, that do not say when to come back."""
    goodput: list[int]
    """Answers with 200 in each second."""
    p50_ms: float
    p99_ms: float
    """Latency of those."""
    connections: int
    client_cpu: float
    slices: list[Slice]
    """Stretch by stretch."""
    p999_ms: float = float("nan")
    max_ms: float = float("nan")


class Caller(Connection):
    """A connection that waits for its next request to be due."""

    busy = False
    """Whether it carries a request."""

    def connection_made(self, transport: Any) -> None:
        """Nothing is sent yet."""
        self.transport = transport

    def ask(self, due: float) -> None:
        """Send the next request, which was due at that time."""
        self.busy = True
        self.send()
        self.started = due

    def go_on(self, _now: float) -> None:
        """Free again."""
        self.busy = False
        self.run.freed(self)  # type: ignore[attr-defined]

    def connection_lost(self, error: Exception | None) -> None:
        """Closed by the server, or by us at the end."""
        self.run.dropped(self, error)  # type: ignore[attr-defined]


class OpenRun:
    """The whole of one plan."""

    def __init__(self, open_plan: OpenPlan) -> None:
        self.open_plan = open_plan
        self.plan = open_plan.plan
        self.requests = self.plan.requests()
        self.free: list[Caller] = []
        self.open: set[Caller] = set()
        self.opening = 0
        self.peak = 0
        self.waiting = 0
        self.not_sent = 0
        self.statuses: Counter[str] = Counter()
        self.without_retry_after = 0
        self.latencies: list[float] = []
        self.due_at: list[float] = []
        self.begin = perf_counter()
        self.until = self.begin + self.plan.seconds
        self.goodput = [0] * (int(self.plan.seconds) + int(DRAIN_SECONDS) + 2)

    def note(self, now: float, started: float, _turn: int, answer: bytes) -> None:
        """Count one answer."""
        self.waiting -= 1
        status = answer[9:12].decode()
        self.statuses[status] += 1
        if status == "200":
            self.latencies.append(now - started)
            self.due_at.append(started - self.begin)
            self.goodput[int(now - self.begin)] += 1
        elif status in ("429", "503"):
            head = answer[: answer.find(b"\r\n\r\n")].lower()
            self.without_retry_after += b"\r\nretry-after: " not in head

    def freed(self, caller: Caller) -> None:
        """Take a connection back."""
        if not caller.transport.is_closing():
            self.free.append(caller)

    def dropped(self, caller: Caller, error: Exception | None) -> None:
        """Forget a connection; a request that it carried has failed."""
        self.open.discard(caller)
        if caller in self.free:
            self.free.remove(caller)
        if caller.busy:
            self.waiting -= 1
            self.statuses[f"lost: {error!r}"] += 1

    async def go(self) -> OpenOutcome:
        """Send and collect."""
        cpu = process_time()
        due = 0
        while (now := perf_counter()) < self.until:
            due_now = int((now - self.begin) * self.open_plan.rate)
            for number in range(due, due_now):
                self._ask(self.begin + number / self.open_plan.rate, number)
            due = due_now
            await asyncio.sleep(TICK_SECONDS)
        client_cpu = (process_time() - cpu) / self.plan.seconds
        deadline = perf_counter() + DRAIN_SECONDS
        while self.waiting > 0 and perf_counter() < deadline:
            await asyncio.sleep(TICK_SECONDS)
        for caller in list(self.open):
            caller.transport.close()
        values = np.array(self.latencies or [float("nan")]) * 1e3
        return OpenOutcome(
            due, self.not_sent, dict(self.statuses), self.without_retry_after,
            self.goodput[: int(self.plan.seconds)], float(np.percentile(values, 50)),
            float(np.percentile(values, 99)), self.peak, client_cpu, self._slices(),
            float(np.percentile(values, 99.9)), float(values.max()),
        )  # fmt: skip

    def _slices(self) -> list[Slice]:
        """Latency by stretch."""
        values, seconds = np.array(self.latencies) * 1e3, self.open_plan.slice_seconds
        place = np.array(self.due_at) // seconds
        slices = []
        for number in range(int(np.ceil(self.plan.seconds / seconds))):
            within = values[place == number]
            p50, p99 = np.percentile(within, (50, 99)) if len(within) else (np.nan, np.nan)
            slices.append(Slice(len(within), float(p50), float(p99)))
        return slices

    def _ask(self, due: float, number: int) -> None:
        if self.free:
            self.waiting += 1
            self.free.pop().ask(due)
        elif len(self.open) + self.opening < self.plan.connections:
            self.opening += 1
            self.waiting += 1
            asyncio.get_running_loop().create_task(self._connect(due, number))
        else:
            self.not_sent += 1

    async def _connect(self, due: float, number: int) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, caller = await loop.create_connection(
                lambda: Caller(self, self.requests, number),  # type: ignore[arg-type]
                self.plan.host,
                self.plan.port,
            )
        except OSError as error:
            self.waiting -= 1
            self.statuses[f"no connection: {error!r}"] += 1
            return
        finally:
            self.opening -= 1
        self.open.add(caller)
        self.peak = max(self.peak, len(self.open))
        caller.ask(due)


class OpenLoad:
    """A plan that runs in another process."""

    def __init__(self, open_plan: OpenPlan) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
            json.dump(asdict(open_plan), file)
        self._plan = Path(file.name)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.harness.open_loop", file.name],
            cwd=CHECKOUT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def wait(self) -> OpenOutcome:
        """The outcome, when it is over."""
        output, _ = self._process.communicate()
        if self._process.returncode:
            raise RuntimeError(f"the load client failed with {self._process.returncode}")
        content = json.loads(output)
        return OpenOutcome(**content | {"slices": [Slice(*one) for one in content["slices"]]})

    @property
    def running(self) -> bool:
        """Whether it still sends or collects."""
        return self._process.poll() is None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._plan.unlink(missing_ok=True)


if __name__ == "__main__":
    content = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    load_plan = OpenPlan(Plan(**content["plan"]), content["rate"], content["slice_seconds"])
    sys.stdout.write(json.dumps(asdict(uvloop.run(OpenRun(load_plan).go()))))
