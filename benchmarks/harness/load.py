"""A lean HTTP/1.1 load client: raw sockets under asyncio, in a process of its own.

Closed loop: each connection sends its next request when the last was answered, after a pause where
one is given. Latency is from the first byte sent to the last byte received.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from operator import sub
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, Self

import numpy as np
import orjson
import uvloop

from configs.settings import CHECKOUT

TOLERANCE = 1e-4
"""Most that a score may differ from what is expected."""


@dataclass(frozen=True)
class Plan:
    """What to send, and for how long."""

    port: int
    path: str
    bodies: Sequence[str]
    """Bodies, taken in turn."""
    connections: int = 1
    seconds: float = 2.0
    warmup: float = 0.5
    pause: float = 0.0
    """Seconds that a connection rests after each answer."""
    host: str = "127.0.0.1"
    headers: Mapping[str, str] = field(default_factory=dict)
    """Beside those that every request has."""
    expected: Mapping[str, Sequence[Sequence[float]]] | None = None
    """Model version -> the scores of each body's records, one after the other: answers are held to them."""

    def requests(self) -> list[bytes]:
        """Each body as it goes over the wire."""
        more = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        return [
            f"POST {self.path} HTTP/1.1\r\nhost: {self.host}:{self.port}\r\n{more}"
            f"content-type: application/json\r\ncontent-length: {len(body.encode())}\r\n\r\n{body}".encode()
            for body in self.bodies
        ]


@dataclass(frozen=True)
class Outcome:
    """What came back after the warm-up."""

    requests: int
    failed: int
    seconds: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    client_cpu: float
    """Share of one core that this client used meanwhile; near 1 it would be what is measured."""
    statuses: dict[str, int]
    kept: list[tuple[float, float, int]]
    """Where answers are checked: time (of `time.perf_counter`), latency in ms and version, as they came."""
    wrong: int
    """Answers that are not what the version they name says."""

    @property
    def rate(self) -> float:
        """Requests answered with 200 a second."""
        return (self.requests - self.failed) / self.seconds


class Connection(asyncio.Protocol):
    """One connection, which goes round until `until`."""

    def __init__(self, run: Run, requests: list[bytes], offset: int) -> None:
        self.run = run
        self.requests = requests
        self.turn = offset
        self.buffer = b""
        self.needed = 0
        self.started = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        self.turn += 1
        self.started = perf_counter()
        self.transport.write(self.requests[self.turn % len(self.requests)])

    def data_received(self, data: bytes) -> None:
        buffer = self.buffer = self.buffer + data if self.buffer else data
        if not self.needed:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = buffer[:end].lower()
            place = head.find(b"content-length:")
            if place < 0:
                raise RuntimeError(f"an answer without content-length: {head!r}")
            stop = head.find(b"\r\n", place)
            self.needed = end + 4 + int(head[place + 15 : stop if stop > 0 else None])
        if len(buffer) < self.needed:
            return
        now = perf_counter()
        self.run.note(now, self.started, self.turn, buffer)
        self.buffer, self.needed = b"", 0
        self.go_on(now)

    def go_on(self, now: float) -> None:
        """After an answer: the next request, at once or after a rest."""
        if now >= self.run.until:
            self.transport.close()
        elif self.run.plan.pause:
            asyncio.get_running_loop().call_later(self.run.plan.pause, self.send)
        else:
            self.send()

    def connection_lost(self, error: Exception | None) -> None:
        if perf_counter() < self.run.until:
            self.run.lost(repr(error))
        if not self.done.done():
            self.done.set_result(None)


class Run:
    """The whole of one plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.latencies: list[float] = []
        self.client_cpu = 0.0
        self.statuses: dict[str, int] = {}
        self.kept: list[tuple[float, float, int]] = []
        self.wrong = 0
        self.begin = perf_counter() + plan.warmup
        self.until = self.begin + plan.seconds

    def note(self, now: float, started: float, turn: int, answer: bytes) -> None:
        """Count one answer to the body of a turn."""
        if started < self.begin:
            return
        latency = now - started
        self.latencies.append(latency)
        status = answer[9:12].decode()
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if self.plan.expected is not None and status == "200":
            content = orjson.loads(answer[answer.index(b"\r\n\r\n") + 4 :])
            version = content["model"]["version"]
            self.kept.append((now, latency * 1e3, version))
            scores = [
                score for prediction in content["predictions"] for score in prediction["scores"].values()
            ]
            expected = self.plan.expected[str(version)][turn % len(self.plan.bodies)]
            self.wrong += max(map(abs, map(sub, scores, expected))) > TOLERANCE

    def lost(self, reason: str) -> None:
        """Count a connection that broke."""
        self.statuses[reason] = self.statuses.get(reason, 0) + 1

    def end(self) -> None:
        """Send no more."""
        self.until = perf_counter()

    async def go(self) -> Outcome:
        """Send and collect."""
        plan = self.plan
        requests = plan.requests()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.end)
        connections = [Connection(self, requests, offset) for offset in range(plan.connections)]
        for connection in connections:
            await loop.create_connection(lambda made=connection: made, plan.host, plan.port)  # type: ignore[misc]
        started, cpu_started = perf_counter(), process_time()
        await asyncio.gather(*(connection.done for connection in connections))
        self.client_cpu = (process_time() - cpu_started) / (perf_counter() - started)
        return self._outcome()

    def _outcome(self) -> Outcome:
        values = np.array(self.latencies or [float("nan")]) * 1e3
        total = sum(self.statuses.values())
        p50, p90, p99, most = (float(np.percentile(values, share)) for share in (50, 90, 99, 100))
        failed = total - self.statuses.get("200", 0)
        seconds = self.until - self.begin
        return Outcome(
            total, failed, seconds, p50, p90, p99, most, self.client_cpu, self.statuses, self.kept, self.wrong
        )


class LoadProcess:
    """A plan that runs in another process, so that it does not share an interpreter with anything."""

    def __init__(self, plan: Plan) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
            json.dump(asdict(plan), file)
        self._plan = Path(file.name)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.harness.load", file.name],
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            text=True,
        )

    def end(self) -> Outcome:
        """End it before its time."""
        self._process.terminate()
        return self.wait()

    def wait(self) -> Outcome:
        """The outcome, when it is over."""
        output, _ = self._process.communicate()
        if self._process.returncode:
            raise RuntimeError(f"the load client failed with {self._process.returncode}")
        return Outcome(**json.loads(output))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._plan.unlink(missing_ok=True)


def put_load(plan: Plan) -> Outcome:
    """Run a plan to its end."""
    with LoadProcess(plan) as process:
        return process.wait()


if __name__ == "__main__":
    load_plan = Plan(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    sys.stdout.write(json.dumps(asdict(uvloop.run(Run(load_plan).go()))))
