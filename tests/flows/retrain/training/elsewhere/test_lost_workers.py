"""Workers of a cluster that are lost while all of them train one challenger together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from flows.retrain.held_run import HeldRun
from models.errors import TrainingError
from models.estimators.streaming.xgboost import Xgboost
from store.snapshots import restoring
from tests.dask_clusters import dask_processes
from tests.flows.retrain.training.elsewhere.test_on_dask import train, with_pool
from tests.flows.retrain.turns import Orchard

pytestmark = [pytest.mark.slow, pytest.mark.faults]
LONG: dict[str, Any] = {"estimator": "xgboost", "params": {"trees": 1500}}


@pytest.fixture
def orchard(empty_orchard: Orchard, monkeypatch: pytest.MonkeyPatch) -> Orchard:
    """With rows that a cluster learns from in parts."""
    empty_orchard.take_in(900, edge=0.5)
    monkeypatch.setattr(restoring, "MOST_IN_MEMORY", 0)
    return empty_orchard


@pytest.mark.parametrize("victim", [0, 1])
def test_it_is_made_by_those_that_are_left(
    orchard: Orchard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, victim: int
) -> None:
    told: list[int] = []
    taken: list[int] = []
    take = Xgboost._take

    def noted(self: Xgboost, booster: Any, *rest: Any) -> None:
        taken.append(booster.num_boosted_rounds())
        take(self, booster, *rest)

    monkeypatch.setattr(Xgboost, "_take", noted)
    with dask_processes(tmp_path / "dask", 2) as cluster:

        def kill(_held: HeldRun, said: Mapping[str, Any]) -> None:
            if epoch := said.get("epoch"):
                told.append(epoch)
                cluster.workers[victim].kill()

        pool = [{"name": "trees", "model": LONG}]
        made, errors = train(with_pool(orchard, cluster.address, pool), tmp_path / "there", kill)
        assert cluster.workers[victim].wait(30) != 0
    assert (list(made), errors) == (["trees"], {})
    assert taken == [1500]
    assert told == sorted(set(told)), "no round is told twice"


def test_with_none_left_that_is_told(orchard: Orchard, tmp_path: Path) -> None:
    with dask_processes(tmp_path / "dask", 2) as cluster:

        def kill(_held: HeldRun, said: Mapping[str, Any]) -> None:
            if said.get("epoch"):
                for worker in cluster.workers:
                    worker.kill()

        pool = [{"name": "trees", "model": LONG}]
        with pytest.raises(TrainingError, match="the Dask cluster has no worker left to train on"):
            train(with_pool(orchard, cluster.address, pool), tmp_path / "there", kill)
