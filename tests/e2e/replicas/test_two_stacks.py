"""Two homes with use cases of their own, started at once on one new database and one storage."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from store.database.connection import tool_url
from store.runs.workers import GONE_SECONDS
from tests.databases import with_database
from tests.e2e.test_shared_storage import write_rows
from tests.e2e.test_stack import USE_CASE, Installation
from tests.ports import free_port

pytestmark = pytest.mark.slow
NAME = "two_stacks"
NAMES = ("fruit", "nuts")
PATIENCE = 400.0


@pytest.fixture(scope="module")
def url(postgres: str) -> Iterator[str]:
    url = with_database(postgres, NAME)
    with psycopg.connect(postgres, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {NAME}")
    yield url
    with psycopg.connect(postgres, autocommit=True) as conn:
        for one in (url, tool_url(url, "mlflow"), tool_url(url, "prefect")):
            conn.execute(f'DROP DATABASE IF EXISTS "{one.rpartition("/")[2]}" WITH (FORCE)')


def home_of(name: str, folder: Path, url: str) -> Installation:
    folder.mkdir()
    (folder / f"{name}.yaml").write_text(USE_CASE.replace("fruit", name), encoding="utf-8")
    write_rows(folder / f"{name}.csv", 7, 600)
    one = Installation(folder, (free_port(), free_port(), free_port()))
    one.environment |= {"RATCHET_DATABASE_URL": url, "RATCHET_USE_CASES": name}
    return one


@pytest.fixture(scope="module")
def homes(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Installation]]:
    folder = tmp_path_factory.mktemp("two")
    (folder / "shared").mkdir()
    homes = {name: home_of(name, folder / name, url) for name in NAMES}
    for one in homes.values():
        one.environment["RATCHET_STORAGE"] = f"file://{folder / 'shared'}"
    starting = [one.start("ratchet", "up", "--detach") for one in homes.values()]
    told = [process.communicate(timeout=PATIENCE)[0] for process in starting]
    try:
        assert [process.returncode for process in starting] == [0, 0], told
        yield homes
    finally:
        for one in homes.values():
            one.run("ratchet", "down")


@pytest.mark.usefixtures("homes")
def test_both_are_up_and_each_has_its_deployments(url: str) -> None:
    with psycopg.connect(tool_url(url, "prefect")) as conn:
        names = {row[0] for row in conn.execute("SELECT name FROM deployment")}
    assert names == {f"{name}-{flow}" for name in NAMES for flow in ("ingest", "drift", "retrain")}


def test_their_workers_are_told_apart(homes: dict[str, Installation]) -> None:
    for one in homes.values():
        workers = json.loads(one.run("ratchet", "status", "--json").stdout)["workers"]
        assert [worker["state"] for worker in workers] == ["online", "online"]
        assert all(sum(worker["name"].endswith(f"{name}-home") for worker in workers) == 1 for name in NAMES)


def test_each_runs_what_it_has_a_file_of(homes: dict[str, Installation], url: str) -> None:
    for name, one in homes.items():
        one.ask(one.ports[0], f"/v1/{name}/retrain", {})
    until = time.monotonic() + PATIENCE
    with psycopg.connect(url, autocommit=True) as conn:
        while True:
            runs = conn.execute(
                "SELECT use_case, status, error FROM run WHERE trigger = 'http' ORDER BY use_case"
            ).fetchall()
            if not any(status in ("queued", "running") for _, status, _ in runs):
                break
            assert time.monotonic() < until, runs
            time.sleep(0.2)
    assert runs == [(name, "succeeded", None) for name in NAMES]


@pytest.mark.usefixtures("homes")
def test_a_home_without_the_storage_is_refused(url: str, tmp_path: Path) -> None:
    third = home_of("seeds", tmp_path / "third", url)
    refused = third.run("ratchet", "up", "--detach")
    assert refused.returncode == 1
    assert "the database knows models of fruit, nuts" in refused.stderr
    (third.home / "mlflow").mkdir(parents=True)
    (third.home / "mlflow" / "lost").touch()
    began = time.monotonic()
    refused = third.run("ratchet", "up", "--detach")
    assert refused.returncode == 1
    assert "another `ratchet up` works on the database" in refused.stderr
    assert time.monotonic() - began > GONE_SECONDS
