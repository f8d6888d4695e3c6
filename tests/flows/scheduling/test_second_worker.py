"""A second worker, of another home: it runs a retrain that the first installation asked for."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun

from configs.schema import UseCase
from configs.settings import CHECKOUT, read_settings
from flows.scheduling.deployments import EARLIER_WORKER, deployments, worker_name
from flows.scheduling.joining import joined_name
from flows.scheduling.registering import ensure_pool, forget_worker, register
from flows.status.prefect import pool_workers
from tests.flows.retrain.turns import Orchard
from tests.ports import free_port

PATIENCE = 240.0
POOL = [{"name": "trees"}, {"name": "newest", "window": 200}]


@contextmanager
def started(words: list[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process while this lasts."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", *words], env={**os.environ, **environment}, cwd=CHECKOUT,
            stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(30)


@pytest.fixture
def prefect_url(tmp_path: Path) -> Iterator[str]:
    """A Prefect server of the user's own."""
    port = free_port()
    home = {"PREFECT_HOME": str(tmp_path / "prefect"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    words = ["prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui"]
    with started(words, home, tmp_path / "prefect.log"):
        url, until = f"http://127.0.0.1:{port}/api", time.monotonic() + PATIENCE
        while True:
            try:
                with urllib.request.urlopen(f"{url}/health", timeout=5):
                    break
            except (urllib.error.URLError, OSError):
                assert time.monotonic() < until, (tmp_path / "prefect.log").read_text()
                time.sleep(0.3)
        yield url


async def ask(url: str, use_case: UseCase) -> FlowRun:
    """Register as the first installation does, and ask for a retrain."""
    async with PrefectClient(url) as client:
        await ensure_pool(client, "elsewhere", "process", sole=False)
        entries = deployments(use_case, "elsewhere")
        await register(client, entries, CHECKOUT)
        deployment = await client.read_deployment_by_name(f"retrain/{use_case.name}-retrain")
        return await client.create_flow_run_from_deployment(deployment.id)


async def wait(url: str, run: FlowRun) -> tuple[str, set[str]]:
    """How it ended, and the names of its tasks."""
    until = time.monotonic() + PATIENCE
    async with PrefectClient(url) as client:
        while True:
            now = await client.read_flow_run(run.id)
            if now.state is not None and now.state.is_final():
                break
            assert time.monotonic() < until, now.state
            await asyncio.sleep(0.5)
        await asyncio.sleep(3)  # states of tasks come by events
        tasks: list[Any] = await client.read_task_runs(
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
        )
        return f"{now.state.name}: {now.state.message}", {task.name for task in tasks}


@pytest.mark.slow
def test_a_retrain_is_run_by_the_worker_of_another_home(
    empty_orchard: Orchard, prefect_url: str, tmp_path: Path
) -> None:
    empty_orchard.take_in(500, edge=0.5)
    context = empty_orchard.context
    settings, name = context.settings, empty_orchard.name
    config = settings.config_dirs[1] / f"{name}.yaml"
    text = config.read_text().replace("baseline: never", f"baseline: never, challengers: {POOL}")
    config.write_text(text)
    second = tmp_path / "second"
    environment = {
        "PYTHONPATH": str(CHECKOUT),
        "RATCHET_HOME": str(second),
        "RATCHET_CONFIGS": str(settings.config_dirs[1]),
        "RATCHET_USE_CASES": name,
        "RATCHET_DATABASE_URL": context.database_url,
        "MLFLOW_TRACKING_URI": settings.mlflow_uri,
        "PREFECT_API_URL": prefect_url,
        "RATCHET_WORK_POOL": "elsewhere",
        "RATCHET_COMPUTE": "local:2",
    }
    run = asyncio.run(
        ask(prefect_url, empty_orchard.changed(training={"challengers": POOL}).context.use_case)
    )
    with started(["flows.cli", "worker", "--runs", "1"], environment, tmp_path / "worker.log"):
        ended, tasks = asyncio.run(wait(prefect_url, run))
        (worker,) = pool_workers(read_settings(environment))
    log = (tmp_path / "worker.log").read_text()
    assert ended.startswith("Completed"), log
    assert {"train-trees", "train-newest"} <= tasks, tasks
    assert worker.state == "online"
    assert worker.name == joined_name(second)
    assert not pool_workers(read_settings(environment)), "one that was told to end is listed no longer"
    with context.connect() as conn:
        found = conn.execute("SELECT status, flow_run_id FROM run WHERE use_case = %s", (name,)).fetchall()
        promoted = conn.execute("SELECT count(*) FROM ledger WHERE use_case = %s", (name,)).fetchone()
    assert found == [("succeeded", str(run.id))], log
    assert promoted is not None
    assert promoted[0] > 0
    assert list((second / "history" / name).iterdir())
    assert not (settings.home / "history").exists()


@pytest.mark.slow
def test_the_name_that_all_workers_had_is_forgotten(prefect_url: str, tmp_path: Path) -> None:
    async def seen() -> None:
        async with PrefectClient(prefect_url) as client:
            await ensure_pool(client, "ratchet", "process", sole=True)
            for name in (EARLIER_WORKER, worker_name(tmp_path)):
                await client.send_worker_heartbeat("ratchet", name)

    async def forget() -> None:
        async with PrefectClient(prefect_url) as client:
            await forget_worker(client, "ratchet", EARLIER_WORKER)

    settings = read_settings({"RATCHET_HOME": str(tmp_path), "PREFECT_API_URL": prefect_url})
    asyncio.run(seen())
    assert len(pool_workers(settings)) == 2
    for _ in range(2):  # the second time there is none
        asyncio.run(forget())
        assert [one.name for one in pool_workers(settings)] == [worker_name(tmp_path)]
