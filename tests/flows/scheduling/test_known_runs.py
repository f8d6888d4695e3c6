"""A worker starts runs of use cases that it has a file of, and leaves others to those that have it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prefect.workers.base import BaseWorker
from prefect.workers.process import ProcessWorker

from flows.scheduling.known_runs import KnownRunsWorker
from tests.e2e.apples import CONFIG, USE_CASE


@pytest.fixture
def due(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What Prefect says is due."""
    runs: list[Any] = []

    async def scheduled(_worker: ProcessWorker) -> list[Any]:
        return runs

    monkeypatch.setattr(ProcessWorker, "_get_scheduled_flow_runs", scheduled)
    return runs


def run_of(**parameters: Any) -> Any:
    return SimpleNamespace(flow_run=SimpleNamespace(parameters=parameters))


def test_it_leaves_what_it_has_no_file_of(
    due: list[Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    worker = KnownRunsWorker([tmp_path], work_pool_name="pool", name="one")
    own, others, peoples = run_of(use_case=USE_CASE), run_of(use_case="pears"), run_of(day=3)
    due += [own, others, peoples]
    (tmp_path / f"{USE_CASE}.yaml").write_text(CONFIG, encoding="utf-8")
    for _ in range(2):
        assert asyncio.run(worker._get_scheduled_flow_runs()) == [own, peoples]
    assert caplog.text.count("runs of pears are left to workers that have its file") == 1
    (tmp_path / "pears.yaml").write_text(CONFIG.replace(USE_CASE, "pears"), encoding="utf-8")
    assert asyncio.run(worker._get_scheduled_flow_runs()) == due, "its file has come"
    (tmp_path / "pears.yaml").write_text("name: [", encoding="utf-8")
    assert asyncio.run(worker._get_scheduled_flow_runs()) == due, "the run says what is wrong with it"


def test_prefect_goes_on_with_its_own_worker_for_pools_of_processes() -> None:
    assert BaseWorker.get_worker_class_from_type("process") is ProcessWorker
