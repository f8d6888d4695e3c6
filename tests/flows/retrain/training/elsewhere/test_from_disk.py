"""Of rows too many for memory challengers are made from disk: here, in processes, and by a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.records.contract import RecordContract
from flows.retrain.training.run import here
from models.estimators.streaming.xgboost import Xgboost
from models.versions.artifact import read_fit
from store.snapshots import restoring
from tests.dask_clusters import dask_processes
from tests.flows.retrain.training.elsewhere.test_on_dask import answers_of, train, with_pool
from tests.flows.retrain.turns import Orchard

BATCHES = {"estimator": "logistic_batches"}
POOL: list[dict[str, Any]] = [
    {"name": "trees"},
    {"name": "newest", "window": 300},
    {"name": "line", "model": BATCHES},
    {"name": "newest_line", "window": "1000d", "model": BATCHES},
]
TREES: dict[str, Any] = {"estimator": "xgboost", "params": {"trees": 30}}


@pytest.fixture
def orchard(empty_orchard: Orchard) -> Orchard:
    empty_orchard.take_in(900, edge=0.5)
    return empty_orchard


@pytest.mark.slow
def test_versions_made_from_disk_are_those_made_from_memory(
    orchard: Orchard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[Mapping[str, Any]] = []
    memory, _ = train(
        with_pool(orchard, "local", POOL), tmp_path / "memory", lambda _held, one: said.append(one)
    )
    assert {one["compute"] for one in said if one["step"] == "train"} == {here()}
    assert {one.get("compute") for one in said if one["step"] not in ("train", "export")} <= {None}
    assert {one.compute for one in memory.values()} == {here()}
    monkeypatch.setattr(restoring, "MOST_IN_MEMORY", 0)
    disk, errors = train(with_pool(orchard, "local", POOL), tmp_path / "disk")
    assert errors == {}
    assert [path.suffix for path in (tmp_path / "disk").iterdir() if path.is_file()] == [".arrow"]
    assert not list((tmp_path / "memory").glob("*.arrow"))
    processes, _ = train(with_pool(orchard, "local:2", POOL), tmp_path / "processes")
    assert {one.compute for one in processes.values()} == {"2 processes of this machine"}
    assert answers_of(disk, orchard) == answers_of(memory, orchard)
    assert answers_of(processes, orchard) == answers_of(memory, orchard)
    for name in memory:
        fits = [read_fit(made[name].artifact) for made in (memory, disk, processes)]
        told = [None if one is None else (one.rows, one.rows_digest, one.in_batches) for one in fits]
        assert told[0] == told[1] == told[2]
        assert told[0] is not None
        assert told[0][0] == (300 if name == "newest" else 720)


@pytest.mark.slow
def test_a_cluster_learns_over_partitions_what_is_learned_here(
    orchard: Orchard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = [{"name": "trees", "model": TREES}, {"name": "line", "model": BATCHES}]
    spread: list[int] = []
    fit_partitions = Xgboost.fit_partitions

    def counted(self: Xgboost, rows: Any, client: Any, **how: Any) -> None:
        spread.append(len(rows))
        fit_partitions(self, rows, client, **how)

    monkeypatch.setattr(Xgboost, "fit_partitions", counted)
    here, _ = train(with_pool(orchard, "local", pool), tmp_path / "here")
    assert spread == []
    monkeypatch.setattr(restoring, "MOST_IN_MEMORY", 0)
    with dask_processes(tmp_path / "dask", 2) as cluster:
        there, errors = train(with_pool(orchard, cluster.address, pool), tmp_path / "there")
    assert errors == {}
    assert list(there) == ["trees", "line"]
    assert spread == [here["trees"].manifest.rows]
    columns = RecordContract(orchard.context.use_case.record).check_records(
        [{"weight": float(one), "colour": "red"} for one in np.linspace(0, 1, 200)]
    )
    records = columns.all_or_raise()
    ours, theirs = (made["trees"].predictor.predict(records).probabilities for made in (here, there))
    assert (ours.argmax(axis=1) == theirs.argmax(axis=1)).mean() > 0.97
    assert np.abs(ours - theirs).max() < 0.25
    assert answers_of({"line": there["line"]}, orchard) == answers_of({"line": here["line"]}, orchard)
