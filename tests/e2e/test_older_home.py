"""A home made by an older commit with its own code and real servers opens, serves, retrains, goes back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from configs.settings import CHECKOUT, Settings, read_settings
from flows.servers.prefect_access import proof
from tests.e2e.apples import CONFIG, USE_CASE, write_apples
from tests.e2e.stacks import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
OLDER = "8dc88b5b9ccdad1a2dd09c22e74fa6b4278a6a5f"
"""The last commit without digests in the ledger, and without a password for Prefect."""
RECORDS = [{"weight": number / 20, "colour": "red"} for number in range(20)]


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout of that commit; skipped where the history does not reach so far."""
    folder = tmp_path_factory.mktemp("older")
    archive = subprocess.run(["git", "archive", OLDER], cwd=CHECKOUT, capture_output=True, check=False)
    if archive.returncode != 0:
        pytest.skip(f"commit {OLDER} is not in this clone")
    subprocess.run(["tar", "--extract", "--directory", str(folder)], input=archive.stdout, check=True)
    return folder


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("configs")
    data = write_apples(folder / "apples.csv", 600, edge=0.5)
    config = f"{CONFIG}data: {{path: {data}}}\nretrain: {{keep_versions: 5}}\n"
    (folder / f"{USE_CASE}.yaml").write_text(config, encoding="utf-8")
    tools = ("RATCHET", "PREFECT", "MLFLOW", "BENTOML")
    made = {
        **{name: value for name, value in os.environ.items() if not name.startswith(tools)},
        "RATCHET_HOME": str(tmp_path_factory.mktemp("home")),
        "RATCHET_CONFIGS": str(folder),
        "RATCHET_USE_CASES": USE_CASE,
        "RATCHET_PORT": str(free_port()),
        "RATCHET_MLFLOW_PORT": str(free_port()),
        "RATCHET_PREFECT_PORT": str(free_port()),
    }
    yield made
    ratchet(CHECKOUT, made, "down")


def ratchet(checkout: Path, environment: Mapping[str, str], *words: str) -> Any:
    """Run a command of a checkout's own code, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", *words, "--json"],
        cwd=checkout,
        env={**environment, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def answers(settings: Settings) -> list[str]:
    found = httpx.post(f"{settings.service_url}/v1/{USE_CASE}/predict", json={"records": RECORDS})
    return [one["label"] for one in found.raise_for_status().json()["predictions"]]


def served(settings: Settings, version: int) -> None:
    """Wait until a version serves."""
    until = time.monotonic() + 60
    while True:
        answer = httpx.get(f"{settings.service_url}/v1/{USE_CASE}/model")
        if answer.is_success and answer.json()["version"] == version:
            return
        assert time.monotonic() < until, answer.text
        time.sleep(0.2)


def test_it_opens_serves_retrains_and_goes_back(older: Path, environment: dict[str, str]) -> None:
    settings = read_settings(environment)
    ratchet(older, environment, "up", "--detach")
    served(settings, 1)
    told = httpx.post(
        f"{settings.service_url}/v1/{USE_CASE}/predict",
        json={"records": RECORDS, "labels": ["good"] * len(RECORDS)},
    )
    assert told.is_success
    before = answers(settings)
    pool = httpx.get(f"{settings.prefect_url}/work_pools/ratchet").raise_for_status().json()
    assert "command" in pool["base_job_template"]["variables"]["properties"], "the commit is not older"
    ratchet(older, environment, "down")

    ratchet(CHECKOUT, environment, "up", "--detach")
    served(settings, 1)
    assert answers(settings) == before
    assert httpx.get(f"{settings.prefect_url}/deployments/count").status_code == 401
    with httpx.Client(base_url=settings.prefect_url, headers=proof(settings)) as prefect:
        pool = prefect.get("/work_pools/ratchet").raise_for_status().json()
        assert pool["base_job_template"]["variables"]["properties"] == {}
    more = write_apples(Path(environment["RATCHET_CONFIGS"]) / "more.csv", 900, edge=0.3)
    ratchet(CHECKOUT, environment, "ingest", USE_CASE, str(more))
    result = ratchet(CHECKOUT, environment, "retrain", USE_CASE)
    assert (result["outcome"], result["production_before"], result["version"]) == ("promoted", 1, 2)
    assert result["production_scores"]["accuracy"] < result["scores"][result["challenger"]]["accuracy"]
    served(settings, 2)
    assert answers(settings) != before

    ratchet(CHECKOUT, environment, "rollback", USE_CASE)
    served(settings, 1)
    assert answers(settings) == before
    assert ratchet(CHECKOUT, environment, "evaluate", USE_CASE, "--version", "1")["rows"] > 50
    ratchet(CHECKOUT, environment, "down")
    ratchet(CHECKOUT, environment, "up", "--detach")
    served(settings, 1)
    assert answers(settings) == before
