"""Challengers made by Dask workers, each a real process: as here, to the bit, and whoever of them is lost."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.compute.address import read_compute
from features.records.contract import RecordContract
from flows.compute.errors import ComputeUnavailable, WorkLost
from flows.retrain import steps
from flows.retrain.held_run import HeldRun, holding_run
from flows.retrain.production import find_production
from flows.retrain.training import run
from flows.retrain.training.challenger import Trained
from flows.retrain.training.run import train_all
from models.errors import TrainingStopped
from store.runs.lifecycle import request_stop
from tests.dask_clusters import DaskProcesses, dask_processes
from tests.flows.retrain.turns import Orchard

POOL: list[dict[str, Any]] = [
    {"name": "trees"},
    {"name": "newest", "window": 300},
    {"name": "line", "model": {"estimator": "logistic"}},
    {"name": "few", "params": {"iterations": 7}},
]
LONG: dict[str, Any] = {"iterations": 60_000}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskProcesses]:
    with dask_processes(tmp_path / "dask", 2) as started:
        yield started


def with_pool(orchard: Orchard, compute: str, challengers: list[dict[str, Any]] | None = None) -> Orchard:
    """The same with a pool of challengers that are made there."""
    training = orchard.context.use_case.training.model_dump() | {"challengers": challengers or POOL}
    return orchard.changed(training=training, compute=compute)


def train(
    orchard: Orchard, workdir: Path, on_progress: Callable[[HeldRun, Mapping[str, Any]], None] | None = None
) -> tuple[dict[str, Trained], dict[str, str]]:
    """The challengers of a run, from the snapshot of now."""
    context = orchard.context
    workdir.mkdir()
    held_runs: list[HeldRun] = []
    with holding_run(
        context.database_url, orchard.name, trigger="person", run_id=None, flow_run_id=None,
        on_progress=lambda said: on_progress(held_runs[0], said) if on_progress else None,
    ) as held:  # fmt: skip
        held_runs.append(held)
        production = find_production(context)
        snapshot = steps.snapshot_rows(context, production)
        rows = steps.read_rows(context, held, production, snapshot, workdir)
        return train_all(context, held, production, snapshot, rows, trigger="person", workdir=workdir)


def answers_of(made: Mapping[str, Trained], orchard: Orchard) -> dict[str, bytes]:
    """By challenger, its probabilities for the same records to the last bit, and what its encoder learned.

    CatBoost writes the time into its file, so that files differ from fit to fit.
    """
    weights = np.linspace(0, 1, 200)
    records = [{"weight": float(one), "colour": ("red", "green")[row % 2]} for row, one in enumerate(weights)]
    columns = RecordContract(orchard.context.use_case.record).check_records(records).all_or_raise()
    return {
        name: one.predictor.predict(columns).probabilities.tobytes()
        + one.manifest.files["encoder.json"].encode()
        for name, one in made.items()
    }


@pytest.mark.slow
def test_a_pool_of_four_is_what_it_is_here(
    empty_orchard: Orchard, cluster: DaskProcesses, tmp_path: Path
) -> None:
    empty_orchard.take_in(900, edge=0.5)
    here, _ = train(with_pool(empty_orchard, "local"), tmp_path / "here")
    processes, _ = train(with_pool(empty_orchard, "local:2"), tmp_path / "processes")
    there, errors = train(with_pool(empty_orchard, cluster.address), tmp_path / "there")
    assert list(there) == [one["name"] for one in POOL]
    assert errors == {}
    assert {one.compute for one in here.values()} == {run.here()}
    assert {one.compute for one in processes.values()} == {"2 processes of this machine"}
    told = {f"Dask at {read_compute(cluster.address).scheduler}: 2 workers with 2 threads"}
    assert {one.compute for one in there.values()} == told
    assert answers_of(there, empty_orchard) == answers_of(here, empty_orchard)
    assert answers_of(processes, empty_orchard) == answers_of(here, empty_orchard)
    assert len(set(answers_of(here, empty_orchard).values())) == len(POOL)
    done = [name for name in ("worker-0", "worker-1") if any((cluster.folder / name).rglob("ratchet"))]
    assert done == ["worker-0", "worker-1"]


@pytest.mark.slow
@pytest.mark.faults
def test_a_worker_that_is_killed_midway_is_made_up_for(
    empty_orchard: Orchard, cluster: DaskProcesses, tmp_path: Path
) -> None:
    empty_orchard.take_in(900, edge=0.5)
    pool = [{**one, "params": {"iterations": 3000}} for one in POOL if one["name"] != "line"] + POOL[2:3]
    orchard = with_pool(empty_orchard, cluster.address, pool)
    killed: list[int] = []

    def kill(_held: HeldRun, said: Mapping[str, Any]) -> None:
        if said.get("epoch") and not killed:
            killed.append(cluster.workers[0].pid)
            os.kill(cluster.workers[0].pid, signal.SIGKILL)

    made, errors = train(orchard, tmp_path / "work", kill)
    assert killed
    assert cluster.workers[0].wait(30) == -signal.SIGKILL
    assert (list(made), errors) == ([one["name"] for one in pool], {})
    here, _ = train(with_pool(empty_orchard, "local", pool), tmp_path / "here")
    assert answers_of(made, empty_orchard) == answers_of(here, empty_orchard)


@pytest.mark.slow
def test_a_stop_reaches_the_workers(empty_orchard: Orchard, cluster: DaskProcesses, tmp_path: Path) -> None:
    empty_orchard.take_in(900, edge=0.5)
    long = [{"name": name, "params": LONG} for name in ("one", "two")]
    orchard = with_pool(empty_orchard, cluster.address, long)
    asked: list[float] = []

    def stop(held: HeldRun, said: Mapping[str, Any]) -> None:
        if said.get("epoch") and not asked:
            asked.append(time.monotonic())
            with orchard.context.connect() as conn:
                request_stop(conn, held.run_id)
                conn.commit()

    with pytest.raises(TrainingStopped):
        train(orchard, tmp_path / "work", stop)
    # Both workers are free again: they do what comes next.
    short, errors = train(with_pool(empty_orchard, cluster.address), tmp_path / "next")
    assert (len(short), errors) == (4, {})


@pytest.mark.slow
@pytest.mark.faults
def test_a_scheduler_that_goes_away_is_told_and_nothing_waits_for_it(
    empty_orchard: Orchard, cluster: DaskProcesses, tmp_path: Path
) -> None:
    empty_orchard.take_in(900, edge=0.5)
    orchard = with_pool(empty_orchard, cluster.address, [{"name": "one", "params": LONG}])

    def kill(_held: HeldRun, said: Mapping[str, Any]) -> None:
        if said.get("epoch") and cluster.scheduler is not None:
            cluster.scheduler.kill()

    with pytest.raises(WorkLost, match="went away with work in hand"):
        train(orchard, tmp_path / "work", kill)
    with pytest.raises(
        ComputeUnavailable, match=r"no Dask scheduler answers at tcp://127.*RATCHET_COMPUTE=local"
    ):
        train(orchard, tmp_path / "again")


def test_the_environment_wins_over_the_use_case(empty_orchard: Orchard, tmp_path: Path) -> None:
    empty_orchard.take_in(400, edge=0.5)
    orchard = with_pool(empty_orchard, "dask://127.0.0.1:1", POOL[3:])
    settings = replace(orchard.context.settings, compute=read_compute("local"))
    here = replace(orchard, context=replace(orchard.context, settings=settings))
    assert list(train(here, tmp_path / "work")[0]) == ["few"]
