"""The turns of the demonstration: labels, the same challengers made without Dask, a retrain by a worker."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil
import psycopg

from benchmarks.together.challengers import Answers, answers_of, logged_models, read_made
from benchmarks.together.installation import Installation
from benchmarks.together.processes import done
from benchmarks.together.rows import NAME, write_rows
from models.production import ledger
from store.database.connection import connect
from store.runs.rows import Run, find_run

MOST_SECONDS = 900.0
LOOK_SECONDS = 0.2
FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


@dataclass(frozen=True)
class Here:
    """The challengers of the next retrain, made on this machine without Dask."""

    rows: str
    """Digest of the snapshot."""
    answers: Answers
    seconds: float


@dataclass(frozen=True)
class Turn:
    """A retrain that a worker has run."""

    run: Run
    result: dict[str, Any]
    flow_seconds: float
    by_worker: bool
    """Whether its process was one that the worker had started."""
    models: dict[str, str]
    """Challenger to the id by which MLflow keeps it."""
    answers: Answers
    promoted_at: float | None
    """When the ledger says that its version became production, in seconds since 1970; None: it did not."""


def take_in(here: Installation, world: int, count: int) -> None:
    """New labels by a file, as a person hands it over."""
    path = write_rows(here.folder / f"rows{world}.csv", world, count)
    here.ratchet("ingest", NAME, str(path), "--json")


def make_here(here: Installation, name: str) -> Here:
    """The challengers of the next retrain, by two processes of this machine."""
    out = here.folder / f"{name}.npz"
    began = time.monotonic()
    variables = here.variables("alone", RATCHET_COMPUTE="local:2")
    done([sys.executable, "-m", "benchmarks.together.challengers", str(out)], variables, MOST_SECONDS)
    seconds = time.monotonic() - began
    rows, answers = read_made(out)
    return Here(rows, answers, seconds)


def retrain(here: Installation, worker: int, meanwhile: Callable[[Run | None], None] | None = None) -> Turn:
    """Ask Prefect for a run of the deployment, and follow it to its end.

    Args:
        worker: process id of the one that should run it.
        meanwhile: told of the run's row again and again.
    """
    began = time.monotonic()
    by_worker = False
    with here.prefect_client() as client, connect(here.database_url, autocommit=True) as conn:
        asked = client.get(f"/deployments/name/retrain/{NAME}-retrain").raise_for_status().json()
        made = client.post(f"/deployments/{asked['id']}/create_flow_run", json={}).raise_for_status().json()
        while True:
            now = client.get(f"/flow_runs/{made['id']}").raise_for_status().json()
            by_worker = by_worker or _is_child(now.get("infrastructure_pid"), worker)
            run = _run_of(conn, str(made["id"]))
            if meanwhile is not None:
                meanwhile(run)
            if now["state_type"] in FINAL:
                break
            if time.monotonic() - began > MOST_SECONDS:
                raise RuntimeError(f"the flow run did not end: {now['state']}; {here.log('second worker')}")
            time.sleep(LOOK_SECONDS)
        seconds = time.monotonic() - began
        if run is None or run.status != "succeeded" or now["state_type"] != "COMPLETED":
            raise RuntimeError(
                f"{now['state_name']}: {now['state']['message']}; the run: {run}; {here.log('second worker')}"
            )
        promoted = [
            one for one in ledger.history(conn, NAME) if one.event == "promoted" and str(one.run_id) == run.id
        ]
    models = logged_models(here.mlflow, run.id)
    answers = answers_of(here.mlflow, models, here.folder / "fetched" / run.id)
    at = promoted[0].at.timestamp() if promoted else None
    return Turn(run, dict(run.result or {}), seconds, by_worker, models, answers, at)


def _is_child(told: str | None, worker: int) -> bool:
    """Whether a process that Prefect was told of, as `host:number`, is one of a worker's."""
    try:
        number = int(str(told).rpartition(":")[2])
        return any(one.pid == worker for one in psutil.Process(number).parents())
    except (ValueError, psutil.NoSuchProcess):
        return False


def _run_of(conn: psycopg.Connection[Any], flow_run: str) -> Run | None:
    row = conn.execute("SELECT id::text FROM run WHERE flow_run_id = %s", (flow_run,)).fetchone()
    return None if row is None else find_run(conn, str(row[0]))


@dataclass
class Killer:
    """Ends a Dask worker by SIGKILL once a challenger is being fitted there."""

    here: Installation
    client: Any
    """Of the cluster."""
    killed: str | None = None
    """Its address."""
    pid: int = 0
    had: int = 0
    """Challengers that it had in hand."""

    def __call__(self, run: Run | None) -> None:
        """Look at the run, and do so when it is at that."""
        progress = {} if run is None or run.progress is None else run.progress
        if self.killed is not None or progress.get("step") != "train" or "epoch" not in progress:
            return
        at_work = {
            address: [key for key in keys if not str(key).startswith("ratchet-shared")]
            for address, keys in self.client.processing().items()
        }
        victim = max(at_work, key=lambda address: len(at_work[address]))
        number = next((place for place in range(2) if f"//{self.here.place(place)[1]}:" in victim), None)
        if number is None or not at_work[victim]:
            return
        process = self.here.dask.workers[number]
        self.killed, self.pid, self.had = victim, process.pid, len(at_work[victim])
        os.kill(process.pid, signal.SIGKILL)
