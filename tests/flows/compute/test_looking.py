"""What `ratchet doctor` says of the clusters that work goes to."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from configs.settings import CHECKOUT, read_settings
from flows.compute import looking
from flows.doctor import Finding, examine
from tests.dask_clusters import dask_processes
from tests.flows.compute.test_cluster import fake_version
from tests.ports import closed_port


def told(tmp_path: Path, *, compute: str | None = None, **environ: str) -> list[Finding]:
    """Of a home with a use case that has this `compute`, and one that has none."""
    raw = yaml.safe_load((CHECKOUT / "configs" / "plans.yaml").read_text(encoding="utf-8"))
    own = tmp_path / "own"
    own.mkdir(exist_ok=True)
    for name, where in (("mine", compute), ("other", None)):
        one = {**raw, "name": name} | ({} if where is None else {"compute": where})
        (own / f"{name}.yaml").write_text(yaml.safe_dump(one), encoding="utf-8")
    named = {"RATCHET_CONFIGS": str(own), "RATCHET_USE_CASES": "mine,other"}
    settings = read_settings({"RATCHET_HOME": str(tmp_path / "home"), **named, **environ})
    return [one for one in examine(settings) if one.what == "compute"]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "PATIENCE", 2.0)


def test_of_this_machine_nothing_is_said(tmp_path: Path) -> None:
    assert (
        told(tmp_path) == told(tmp_path, compute="local:2") == told(tmp_path, RATCHET_COMPUTE="local") == []
    )
    gone = f"dask://127.0.0.1:{closed_port()}"
    assert told(tmp_path, compute=gone, RATCHET_COMPUTE="local") == []


def test_each_cluster_is_looked_at_once(tmp_path: Path) -> None:
    ports = closed_port(), closed_port()
    (of_all,) = told(tmp_path, RATCHET_COMPUTE=f"dask://127.0.0.1:{ports[0]}")
    (of_one,) = told(tmp_path, compute=f"dask://127.0.0.1:{ports[1]}")
    for finding, port in zip((of_all, of_one), ports, strict=True):
        assert not finding.ok
        assert finding.found.startswith(f"no Dask scheduler answers at tcp://127.0.0.1:{port}: ")


def test_where_dask_is_not_installed_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    (finding,) = told(tmp_path, RATCHET_COMPUTE="dask://127.0.0.1:1")
    assert (finding.ok, "pip install 'distributed>=2026.7'" in finding.found) == (False, True), finding


@pytest.mark.slow
def test_workers_are_counted_and_those_that_differ_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "PATIENCE", 30.0)
    with dask_processes(tmp_path / "dask", 1) as cluster:
        (finding,) = told(tmp_path, compute=cluster.address)
        assert (finding.ok, "1 worker with 1 thread" in finding.found) == (True, True), finding
        odd = fake_version(tmp_path / "odd", "scipy", "1.0.0")
        cluster.add_worker({"PYTHONPATH": f"{odd}:{CHECKOUT}"})
        (finding,) = told(tmp_path, compute=cluster.address)
        assert (finding.ok, "has scipy 1.0.0 (here 1." in finding.found) == (False, True), finding
