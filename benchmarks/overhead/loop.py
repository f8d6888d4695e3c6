"""A stack of its own with use cases whose fits take as long as they are told, and the turns that it takes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.harness.servers import free_port
from benchmarks.overhead.processes import cpu_seconds, has_flow_runs, measuring
from benchmarks.overhead.timed import Timed
from configs.loading import load_selected
from configs.settings import Settings, read_settings
from flows.servers.environment import child_environment
from flows.servers.prefect_access import auth_headers
from flows.stack.starting import bring_up
from flows.stack.stopping import bring_down
from models.estimators.fit_watch import SilentWatch
from store.database.connection import connect, database_url
from store.ingest.files import ingest_file
from store.runs.lifecycle import request_run
from store.runs.rows import ENDED, Run, find_run

COLUMNS = 20
CLASSES = ("one", "two", "three")
NEW_ROWS = 1000
"""Labels that come before each retrain."""
CONFIG = """
name: {name}
title: A fit of {seconds} s
kind: tabular
record:
  fields:
{fields}
target: {{task: multiclass, column: label, classes: [one, two, three]}}
model: {{estimator: "benchmarks.overhead.timed:Timed", params: {{cpu_seconds: {seconds}}}}}
training:
  baseline: never
  challengers: [{{name: full, fit: full}}]
  holdout: {{by: time, min_rows: 200, max_rows: 5000}}
gate: {{metric: accuracy}}
schedule: {{ingest: null, drift: null, retrain: null}}
"""
"""No plain model competes and nothing begins by itself, so that a retrain is its one fit and the loop."""
BETWEEN_LOOKS = 5.0
"""Seconds: to be asked for the state of a run takes Prefect's server 10 ms, which are not the run's."""
PATIENCE = 3600.0
"""Seconds until a run that has not ended is given up."""
STILL_SECONDS = 3.0
"""Without a second of the processor, and what a run leaves behind is done."""


@dataclass(frozen=True)
class Turn:
    """One retrain beside the fit by itself, in seconds."""

    bare: float
    asked: float
    """From the request to the result."""
    waited: float
    """Of it, until the run had begun."""
    steps: dict[str, float]
    outcome: str
    spent: dict[str, float]
    """Seconds of the processor, by server; of the worker with the process of the run."""


def name_of(seconds: float) -> str:
    """The use case whose fit takes so long."""
    return f"fit_{seconds:g}".replace(".", "_")


@contextmanager
def stack(folder: Path, configs: Mapping[str, str]) -> Iterator[Settings]:
    """All servers of a home of its own, with these use cases: their files by name."""
    written, home = folder / "configs", folder / "home"
    written.mkdir()
    for name, text in configs.items():
        (written / f"{name}.yaml").write_text(text, encoding="utf-8")
    settings = read_settings(
        {
            "RATCHET_HOME": str(home),
            "RATCHET_PORT": str(free_port()),
            "RATCHET_MLFLOW_PORT": str(free_port()),
            "RATCHET_PREFECT_PORT": str(free_port()),
            "RATCHET_CONFIGS": str(written),
            "RATCHET_USE_CASES": ",".join(configs),
            "PATH": os.environ["PATH"],
        }
    )
    try:
        bring_up(settings, lambda _server, _what: None)
        yield settings
    finally:
        bring_down(settings, lambda _server, _what: None)


def configured(lengths: Sequence[float]) -> dict[str, str]:
    """A use case for each length of a fit: its file by name."""
    fields = "\n".join(f"    - {{name: x{place}, type: number}}" for place in range(COLUMNS))
    return {
        name_of(seconds): CONFIG.format(name=name_of(seconds), seconds=seconds, fields=fields)
        for seconds in lengths
    }


def store_rows(settings: Settings, use_case: str, count: int, seed: int, folder: Path) -> None:
    """Labelled rows of three clouds of points, by a file."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, len(CLASSES), count)
    x = random.normal(0, 1.6, (count, COLUMNS)) + np.arange(COLUMNS) % 3 * labels[:, None] * 0.2
    path = folder / "rows.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join([*(f"x{place}" for place in range(COLUMNS)), "label"]) + "\n")
        for row, label in zip(x, labels, strict=True):
            file.write(",".join([*(f"{value:.5f}" for value in row), CLASSES[label]]) + "\n")
    config = load_selected(settings.config_dirs, [use_case])[use_case]
    with connect(database_url(settings)) as conn:
        ingest_file(conn, config, path)


def bare_fit(seconds: float, rows: int) -> float:
    """The same fit by itself, of as many rows: its seconds."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(rows, COLUMNS)).astype(np.float32), random.integers(0, len(CLASSES), rows)
    started = time.monotonic()
    Timed({"cpu_seconds": seconds}).fit(x, y, n_classes=len(CLASSES), seed=0, watch=SilentWatch())
    return time.monotonic() - started


def retrain(settings: Settings, use_case: str, trigger: str = "person") -> Run:
    """A retrain by the worker, as HTTP asks for one."""
    with connect(database_url(settings), autocommit=True) as conn:
        run_id = request_run(conn, use_case, "retrain", trigger, runner="worker")
        until = time.monotonic() + PATIENCE
        while (run := find_run(conn, run_id)) is None or run.status not in ENDED:
            if time.monotonic() > until:
                raise TimeoutError(f"the run of {use_case} is {run and run.status} after {PATIENCE:g} s")
            time.sleep(0.05)
    if run.status != "succeeded":
        raise RuntimeError(f"the run of {use_case} ended as {run.status}: {run.error}")
    return run


def turn(settings: Settings, seconds: float, rows: int, seed: int, folder: Path) -> Turn:
    """New labels, then a retrain and the fit by itself, one after the other."""
    use_case = name_of(seconds)
    store_rows(settings, use_case, NEW_ROWS, seed, folder)
    settle(settings)
    with measuring(settings.home) as spent:
        run = retrain(settings, use_case)
        settle(settings)
    assert run.result is not None and run.started_at is not None and run.finished_at is not None
    return Turn(
        bare=bare_fit(seconds, rows),
        asked=(run.finished_at - run.requested_at).total_seconds(),
        waited=(run.started_at - run.requested_at).total_seconds(),
        steps=run.result["steps"],
        outcome=run.result["outcome"],
        spent=spent.seconds,
    )


def settle(settings: Settings, longest: float = 60.0) -> None:
    """Until no flow run is left and the servers idle: what a run leaves behind is done."""
    until = time.monotonic() + longest
    before = sum(cpu_seconds(settings.home).values())
    while time.monotonic() < until:
        time.sleep(STILL_SECONDS)
        now = sum(cpu_seconds(settings.home).values())
        if now - before < 0.25 * STILL_SECONDS and not has_flow_runs(settings.home):
            return
        before = now


def idle(settings: Settings, seconds: float) -> dict[str, float]:
    """What the servers spend in so many seconds in which nothing happens."""
    with measuring(settings.home) as spent:
        time.sleep(seconds)
    return spent.seconds


def command(settings: Settings, *words: str) -> dict[str, float]:
    """What a command spends, and what the servers do for it."""
    return _beside(settings, lambda: _run_command(settings, words))


def flow(settings: Settings, deployment: str, parameters: dict[str, Any]) -> dict[str, float]:
    """What a flow run spends that a schedule starts."""
    return _beside(settings, lambda: {"flow run": 0.0, **_run_deployment(settings, deployment, parameters)})


def _beside(settings: Settings, work: Callable[[], dict[str, float]]) -> dict[str, float]:
    """What is spent, less what the servers spend in as long a time in which nothing happens."""
    settle(settings)
    with measuring(settings.home) as spent:
        started = time.monotonic()
        own = work()
        settle(settings)
        took = time.monotonic() - started
    nothing = idle(settings, 10.0)
    return own | {
        name: round(max(0.0, seconds - nothing.get(name, 0.0) * took / 10.0), 2)
        for name, seconds in spent.seconds.items()
    }


def _run_command(settings: Settings, words: Sequence[str]) -> dict[str, float]:
    program = [sys.executable, "-m", "flows.cli", *words]
    environment = child_environment(settings, "command")
    before = _children_cpu()
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr}")
    return {"command": round(_children_cpu() - before, 2)}


def _children_cpu() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _run_deployment(settings: Settings, name: str, parameters: dict[str, Any]) -> dict[str, float]:
    headers = auth_headers(settings)
    with httpx.Client(base_url=settings.prefect_url, headers=headers, timeout=30) as prefect:
        deployment = prefect.get(f"/deployments/name/{name}").raise_for_status().json()
        made = prefect.post(
            f"/deployments/{deployment['id']}/create_flow_run", json={"parameters": parameters}
        ).raise_for_status()
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            time.sleep(BETWEEN_LOOKS)
            state = prefect.get(f"/flow_runs/{made.json()['id']}").raise_for_status().json()["state"]
            if state["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
                if state["type"] != "COMPLETED":
                    raise RuntimeError(f"{name} ended as {state['name']}: {state.get('message')}")
                return {}
    raise TimeoutError(f"{name} has not ended after {PATIENCE:g} s")
