"""Runs steered from outside on real servers: asked for, stopped, waiting for Prefect, made due by labels."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from configs.settings import Settings
from flows.context import LoopContext, open_context
from flows.servers.prefect_access import auth_headers
from flows.stack.starting import bring_up
from flows.stack.state import running
from models.production import ledger
from store.ingest.files import ingest_file
from tests.e2e.apples import CONFIG, TURNED, USE_CASE, write_apples
from tests.e2e.stacks import PATIENCE, running_stack

pytestmark = pytest.mark.slow

CONTROLLED = CONFIG + "retrain: {min_labels: 50, every_labels: 500, keep_versions: 1}\n"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("configs")
    (folder / f"{USE_CASE}.yaml").write_text(CONTROLLED, encoding="utf-8")
    with running_stack(tmp_path_factory.mktemp("home"), configs=folder, use_cases=(USE_CASE,)) as settings:
        yield settings


@pytest.fixture(scope="module")
def context(stack: Settings) -> LoopContext:
    return open_context(USE_CASE, stack)


@pytest.fixture(scope="module")
def client(stack: Settings) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{stack.service_url}/v1/{USE_CASE}/", timeout=30) as opened:
        yield opened


def ingest(context: LoopContext, path: Path) -> None:
    with context.connect() as conn:
        ingest_file(conn, context.use_case, path)


def status(client: httpx.Client) -> Any:
    return client.get("retrain/status").raise_for_status().json()


def wait_for(true: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < until, what
        time.sleep(0.1)


def ended(client: httpx.Client, run_id: str) -> Any:
    """The run, once it has ended."""
    wait_for(lambda: (status(client)["last_run"] or {}).get("id") == run_id, f"run {run_id} does not end")
    return status(client)["last_run"]


def test_a_use_case_is_steered_over_http(
    context: LoopContext, client: httpx.Client, stack: Settings, tmp_path: Path
) -> None:
    ingest(context, write_apples(tmp_path / "first.csv", 600, edge=0.5))
    first = ended(client, client.post("retrain").json()["run_id"])
    assert (first["trigger"], first["outcome"], first["version"]) == ("http", "promoted", 1)

    # A changed world, and the labels for a retrain: the event names the run that is in the table.
    ingest(context, write_apples(tmp_path / "second.csv", TURNED, edge=0.3))
    wait_for(lambda: status(client)["version"] == 2, "labels start no retrain")
    second = status(client)["last_run"]
    assert (second["trigger"], second["outcome"]) == ("labels", "promoted")
    assert automated_runs(stack) == [second["id"]]

    back = client.post("rollback", json={"reason": "as a test", "actor": "ann"}).raise_for_status().json()
    assert (back["from"], back["to"]) == (2, 1)
    wait_for(lambda: status(client)["version"] == 1, "version 1 does not serve again")
    assert status(client)["labels"]["new"] == 0, "what version 2 knew is not new"

    follow_a_retrain(client)
    learn_at_once(client)
    wait_for_prefect(stack, client)
    with context.connect() as conn:
        events = [(row.event, row.from_version) for row in ledger.history(conn, USE_CASE)]
    assert ("rolled_back", 2) in events
    assert ("pruned", 2) in events
    assert {1} <= {version.version for version in context.registry.versions(USE_CASE)}


def automated_runs(stack: Settings) -> list[str]:
    """Ids of the runs that Prefect's trigger has started."""
    url = f"{stack.prefect_url}/flow_runs/filter"
    found = httpx.post(url, json={"limit": 200}, headers=auth_headers(stack)).raise_for_status().json()
    return [
        run["parameters"]["run_id"] for run in found if (run["created_by"] or {}).get("type") == "AUTOMATION"
    ]


def follow_a_retrain(client: httpx.Client) -> None:
    """202, 409 for a second, and a stream that ends with the verdict."""
    asked = client.post("retrain")
    assert asked.status_code == 202
    run_id = asked.json()["run_id"]
    assert client.post("retrain").json()["error"]["details"] == {"run_id": run_id}
    with client.stream("GET", "retrain/progress", timeout=120) as stream:
        told = [line for line in stream.iter_lines() if line.startswith("event: ")]
    assert "event: progress" in told
    assert told[-1] == "event: end"
    assert ended(client, run_id)["status"] == "succeeded"


def learn_at_once(client: httpx.Client) -> None:
    items = [
        {"record": {"weight": 0.9, "colour": "red", "id": f"taught-{n}"}, "label": "good"} for n in range(5)
    ]
    taught = client.post("train", json={"items": items})
    assert (taught.status_code, taught.json()["accepted"]) == (202, 5)
    run = ended(client, taught.json()["run_id"])
    assert (run["kind"], run["status"]) == ("train", "succeeded")


def wait_for_prefect(stack: Settings, client: httpx.Client) -> None:
    """With Prefect away a retrain is queued; it runs when Prefect is back, and can be stopped."""
    prefect = psutil.Process(running(stack.home)["prefect"].pid)
    prefect.terminate()
    prefect.wait(30)
    asked = client.post("retrain").json()
    assert asked["status"] == "queued"
    bring_up(stack, lambda _server, _what: None)
    wait_for(lambda: status(client)["state"] == "running", "the queued run does not start")
    assert client.post("retrain/stop").status_code == 202
    assert ended(client, asked["run_id"])["status"] in ("stopped", "succeeded")
    assert client.post("retrain/stop").json()["error"]["code"] == "not_running"
