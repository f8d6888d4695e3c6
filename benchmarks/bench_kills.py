"""Killing the service again and again under load: `make bench-kills`.

A whole stack is up, watched by `ratchet up` at a terminal or by the process that `--detach` leaves. Clients
ask for predictions and send feedback without a pause. In each round the service is killed with SIGKILL, as a
whole or in part, and the longest time without an answer is taken. In the end every acknowledged label must
be in the database once, every acknowledged prediction once, and no other server may have been started again.
Ends with an error when that is not so.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.harness.servers import free_port
from configs.settings import CHECKOUT, Settings, read_settings
from flows.stack import state
from store.database.connection import connect, database_url

RESULTS = CHECKOUT / "benchmarks" / "results"
MOST_SECONDS = 5.0
PAUSE_SECONDS = 0.05
"""Between two requests of a client."""
SETTLE_SECONDS = 60.0
"""Until the log of predictions must be in the database."""
OTHERS = ("mlflow", "prefect", "worker")
CONFIG = """\
name: fruit
title: Apples and pears
kind: tabular
record: {fields: [{name: width, type: number, minimum: 0}, {name: height, type: number, minimum: 0}]}
target: {task: binary, classes: [apple, pear]}
data: {path: fruit.csv}
model: {estimator: logistic}
training: {holdout: {min_rows: 100}}
retrain: {every_labels: null}
"""


@dataclass
class Round:
    """One kill."""

    victim: str
    seconds: float
    """The longest time without an answer."""
    others_went_on: bool
    load: float
    """Processes that wanted a core, on average over the last minute; more than there are make all slower."""


@dataclass
class Acknowledged:
    """What clients were told is kept, and how often they were not told anything."""

    predictions: set[str] = field(default_factory=set)
    labels: set[float] = field(default_factory=set)
    failures: Counter[str] = field(default_factory=Counter)
    answered_at: list[float] = field(default_factory=list)


class Clients:
    """Threads that predict and send feedback until told to end; what is not acknowledged is sent again."""

    def __init__(self, url: str, each: int) -> None:
        self.acknowledged = Acknowledged()
        self._url = f"{url}/v1/fruit"
        self._end = threading.Event()
        self._numbers = iter(range(1, 10**9))
        self._taking = threading.Lock()
        self._threads = [
            threading.Thread(target=work, daemon=True)
            for work in (self._predict, self._label)
            for _ in range(each)
        ]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _number(self) -> float:
        with self._taking:
            return next(self._numbers) / 1000

    def _predict(self) -> None:
        with httpx.Client(timeout=10) as client:
            while not self._end.wait(PAUSE_SECONDS):
                body = {"records": [{"width": 7.0, "height": self._number()}]}
                if (answer := self._post(client, "predict", body)) is not None:
                    self.acknowledged.answered_at.append(time.monotonic())
                    self.acknowledged.predictions.add(answer["predictions"][0]["id"])

    def _label(self) -> None:
        """A label is sent until it is acknowledged, with the key by which the service knows it again."""
        with httpx.Client(timeout=10) as client:
            while not self._end.is_set():
                width = self._number()
                body = {"items": [{"record": {"width": width, "height": 1.0}, "label": "apple"}]}
                while not self._end.wait(PAUSE_SECONDS):
                    if (
                        self._post(client, "feedback", body, {"Idempotency-Key": f"label-{width}"})
                        is not None
                    ):
                        self.acknowledged.labels.add(width)
                        break

    def _post(
        self, client: httpx.Client, route: str, body: object, headers: dict[str, str] | None = None
    ) -> dict[str, list[dict[str, str]]] | None:
        try:
            response = client.post(f"{self._url}/{route}", json=body, headers=headers)
        except httpx.HTTPError as error:
            self.acknowledged.failures[type(error).__name__] += 1
            return None
        if response.status_code != 200:
            self.acknowledged.failures[str(response.status_code)] += 1
            return None
        content: dict[str, list[dict[str, str]]] = response.json()
        return content


def kill(settings: Settings, chance: random.Random) -> str:
    """Kill the service as a whole, its parent alone, or one of its workers; returns which."""
    parent = state.running(settings.home)["service"]
    workers = parent.children()
    victim = chance.choice(("whole", "parent", "worker"))
    victims = {"whole": [parent, *workers], "parent": [parent], "worker": workers[:1]}[victim]
    for process in victims:
        process.send_signal(signal.SIGKILL)
    return victim


def play_round(settings: Settings, clients: Clients, chance: random.Random) -> Round:
    """Kill, wait until the service is whole again, and see how long nobody was answered."""
    before = {name: process.pid for name, process in state.running(settings.home).items()}
    began = time.monotonic()
    victim = kill(settings, chance)
    until = began + 60
    time.sleep(1.0)
    while time.monotonic() < until and not is_whole(settings):
        time.sleep(0.05)
    time.sleep(chance.uniform(0.5, 1.5))
    ended = time.monotonic()
    times = [began, *(at for at in clients.acknowledged.answered_at if began <= at <= ended), ended]
    after = {name: process.pid for name, process in state.running(settings.home).items()}
    longest = max(later - earlier for earlier, later in pairwise(times))
    others_went_on = all(before[name] == after.get(name) for name in OTHERS)
    return Round(victim, round(longest, 2), others_went_on, round(os.getloadavg()[0], 1))


def is_whole(settings: Settings) -> bool:
    """Whether the service runs with a worker, and answers."""
    service = state.running(settings.home).get("service")
    try:
        if service is None or not service.children():
            return False
        return httpx.get(f"{settings.service_url}/readyz", timeout=2).status_code == 200
    except (httpx.HTTPError, psutil.Error):
        return False


def count_rows(settings: Settings, told: Acknowledged) -> dict[str, int]:
    """Acknowledged rows that are lost, and those that are there more than once."""
    with connect(database_url(settings), autocommit=True) as conn:
        until = time.monotonic() + SETTLE_SECONDS
        while True:
            rows = Counter(row[0] for row in conn.execute("SELECT id FROM prediction").fetchall())
            if not told.predictions - rows.keys() or time.monotonic() > until:
                break
            time.sleep(0.5)
        labels = Counter(
            row[0]
            for row in conn.execute(
                "SELECT (record->>'width')::float8 FROM feedback WHERE source = 'http'"
            ).fetchall()
        )
    return {
        "predictions_lost": len(told.predictions - rows.keys()),
        "predictions_doubled": sum(count > 1 for count in rows.values()),
        "labels_lost": len(told.labels - labels.keys()),
        "labels_doubled": sum(count > 1 for count in labels.values()),
    }


def set_up(folder: Path) -> Settings:
    """A home with free ports, and a use case that learns in a second."""
    configs = folder / "configs"
    configs.mkdir()
    (configs / "fruit.yaml").write_text(CONFIG, encoding="utf-8")
    rows = random.Random(7)
    lines = [
        f"{rows.gauss(7, 0.8):.3f},{rows.gauss(10 if name == 'pear' else 7.5, 0.9):.3f},{name}"
        for name in ("apple", "pear") * 300
    ]
    (configs / "fruit.csv").write_text("\n".join(["width,height,label", *lines]) + "\n", encoding="utf-8")
    os.environ.update(
        RATCHET_HOME=str(folder / "home"),
        RATCHET_CONFIGS=str(configs),
        RATCHET_USE_CASES="fruit",
        RATCHET_PORT=str(free_port()),
        RATCHET_MLFLOW_PORT=str(free_port()),
        RATCHET_PREFECT_PORT=str(free_port()),
    )
    return read_settings()


def measure(
    folder: Path, mode: str, rounds: int, chance: random.Random, console: Console
) -> dict[str, object]:
    """Start the stack, play all rounds, and count."""
    settings = set_up(folder)
    ratchet = str(Path(sys.executable).with_name("ratchet"))
    detached = ["--detach"] if mode == "detach" else []
    up = subprocess.Popen([ratchet, "up", *detached], stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        while (
            not is_whole(settings) or httpx.get(f"{settings.service_url}/v1/fruit/model").status_code != 200
        ):
            time.sleep(0.5)
        if detached:
            assert up.wait(120) == 0
        played = []
        with Clients(settings.service_url, each=2) as clients:
            time.sleep(2)
            for number in range(rounds):
                played.append(play_round(settings, clients, chance))
                last = played[-1]
                console.print(
                    f"{number + 1:>4}  {last.victim:<7} {last.seconds:6.2f} s  load {last.load:4.1f}"
                )
        told = clients.acknowledged
        return {
            "mode": mode,
            "rounds": [asdict(one) for one in played],
            "predictions": len(told.predictions),
            "labels": len(told.labels),
            "failures": dict(told.failures),
            "watched_still": state.read_supervisor(settings.home) is not None,
            **count_rows(settings, told),
        }
    finally:
        subprocess.run([ratchet, "down"], check=False, stdout=subprocess.DEVNULL)
        up.wait(60)


def show(result: dict[str, object], console: Console) -> list[str]:
    """Print the table, and return what missed its target."""
    rounds = [Round(**one) for one in result["rounds"]]  # type: ignore[attr-defined]
    table = Table("killed", "rounds", "median s", "longest s", title=f"ratchet up, {result['mode']}")
    for victim in ("whole", "parent", "worker"):
        seconds = sorted(one.seconds for one in rounds if one.victim == victim)
        if seconds:
            table.add_row(
                victim, str(len(seconds)), f"{seconds[len(seconds) // 2]:.2f}", f"{seconds[-1]:.2f}"
            )
    console.print(table)
    numbers = {name: value for name, value in result.items() if name not in ("rounds", "mode")}
    console.print("\n".join(f"{name}: {value}" for name, value in numbers.items()))
    loads = sorted(one.load for one in rounds)
    console.print(f"load: {loads[0]} to {loads[-1]}, on {os.cpu_count()} cores")
    missed = [name for name in numbers if name.endswith(("_lost", "_doubled")) and numbers[name]]
    missed += [f"round {number + 1}" for number, one in enumerate(rounds) if one.seconds > MOST_SECONDS]
    if not all(one.others_went_on for one in rounds):
        missed.append("other servers were started again")
    return missed if result["watched_still"] else [*missed, "nobody watches any more"]


def main() -> None:
    """Measure, print, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--mode", choices=("foreground", "detach"), default="foreground")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    signal.signal(
        signal.SIGTERM, lambda number, _frame: sys.exit(128 + number)
    )  # so that nothing is left running
    console = Console()
    with tempfile.TemporaryDirectory(prefix="ratchet-kills-") as folder:
        chance = random.Random(options.seed)
        result = measure(Path(folder), options.mode, options.rounds, chance, console)
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"kills-{options.mode}.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if missed := show(result, console):
        sys.exit("missed: " + ", ".join(missed))


if __name__ == "__main__":
    main()
