"""Two homes on one database and one bucket: either serves what the other made, and one may be lost."""

from __future__ import annotations

import json
import random
import shutil
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from store.database.connection import tool_url
from tests.databases import with_database
from tests.e2e.test_stack import USE_CASE, Installation
from tests.ports import free_port
from tests.s3_servers import SECRET, S3Server

pytestmark = pytest.mark.slow
NAME = "shared_storage"
WITHOUT_PROBATION = "probation: {labels: 0}\n"
"""Labels turn, and turn back: those would have version 2 taken back, and leave nothing to judge on."""
BODY = {"records": [{"width": 7.0, "height": 10.5}, {"width": 7.0, "height": 7.0}]}


def write_rows(path: Path, seed: int, count: int, *, turned: bool = False) -> None:
    """Labelled rows; turned: apples are called pears."""
    rows = random.Random(seed)
    names = {"apple": "pear", "pear": "apple"} if turned else {"apple": "apple", "pear": "pear"}
    lines = [
        f"{rows.gauss(7, 0.8):.4f},{rows.gauss(10 if name == 'pear' else 7.5, 0.9):.4f},{names[name]}"
        for name in ("apple", "pear") * (count // 2)
    ]
    path.write_text("\n".join(["width,height,label", *lines]) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def shared(postgres: str, s3_server: S3Server) -> Iterator[dict[str, str]]:
    """The variables that both homes have: database and storage."""
    url = with_database(postgres, NAME)
    with psycopg.connect(postgres, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {NAME}")
    bucket = s3_server.make_bucket("ratchet-e2e")
    yield {"RATCHET_DATABASE_URL": url, "RATCHET_STORAGE": f"{bucket}/team", **s3_server.environ}
    with psycopg.connect(postgres, autocommit=True) as conn:
        for one in (url, tool_url(url, "mlflow"), tool_url(url, "prefect")):
            conn.execute(f'DROP DATABASE IF EXISTS "{one.rpartition("/")[2]}" WITH (FORCE)')


@pytest.fixture(scope="module")
def homes(shared: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Installation]]:
    made = []
    for number in range(2):
        folder = tmp_path_factory.mktemp(f"machine-{number}")
        (folder / "fruit.yaml").write_text(USE_CASE + WITHOUT_PROBATION, encoding="utf-8")
        write_rows(folder / "fruit.csv", 7, 600)
        one = Installation(folder, (free_port(), free_port(), free_port()))
        one.environment |= shared
        made.append(one)
    yield made
    for one in made:
        one.run("ratchet", "down")
    assert [one.left() for one in made] == [[], []]


def told(installation: Installation, *command: str) -> Any:
    done = installation.run("ratchet", *command)
    assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return json.loads(done.stdout) if "--json" in command else done.stdout


def served(installation: Installation) -> int:
    return int(installation.ask(installation.ports[0], "/v1/fruit/predict", BODY)["model"]["version"])


def wait_until_served(installation: Installation, version: int, seconds: float) -> None:
    until = time.monotonic() + seconds
    while (now := served(installation)) != version:
        assert time.monotonic() < until, f"version {now} is served, not {version}"
        time.sleep(0.1)


def retrain(installation: Installation, version: int) -> None:
    """Have a retrain promote a version; a worker may be at it already, for so many labels are new."""
    assert told(installation, "retrain", "fruit", "--json")["outcome"] in ("promoted", "skipped")
    wait_until_served(installation, version, 240)


def drift_page(installation: Installation) -> str:
    page = f"http://127.0.0.1:{installation.ports[0]}/v1/fruit/drift/report"
    with urllib.request.urlopen(page, timeout=60) as answer:
        return str(answer.read().decode())


def keys(s3_server: S3Server, folder: str) -> set[str]:
    listed = s3_server.client().list_objects_v2(Bucket="ratchet-e2e", Prefix=f"team/{folder}/")
    return {one["Key"] for one in listed.get("Contents", ())}


def test_a_home_on_a_bucket_retrains_promotes_and_serves(
    homes: list[Installation], s3_server: S3Server
) -> None:
    first = homes[0]
    told(first, "up", "--detach")
    assert served(first) == 1
    write_rows(first.folder / "turned.csv", 11, 2400, turned=True)
    told(first, "ingest", "fruit", str(first.folder / "turned.csv"))
    retrain(first, 2)
    told(first, "drift", "fruit")
    assert "report" in drift_page(first)
    assert keys(s3_server, "mlflow")
    assert not (first.home / "mlflow").exists()
    assert told(first, "storage", "check", "--json")["has"]["mlflow"]["objects"] == len(
        keys(s3_server, "mlflow")
    )
    assert "storage" in told(first, "doctor")


def test_a_new_home_has_it_all(homes: list[Installation]) -> None:
    """The first machine is gone, with all that was on it."""
    first, second = homes
    page = drift_page(first)
    replayed = told(first, "replay", "fruit", "--periods", "200", "--first", "2", "--jobs", "1", "--json")
    assert replayed
    (kept,) = first.ask(first.ports[0], "/v1/fruit/replays")["replays"]
    told(first, "down")
    shutil.rmtree(first.home)
    told(second, "up", "--detach")
    assert served(second) == 2
    assert drift_page(second) == page
    assert second.ask(second.ports[0], "/v1/fruit/replays")["replays"] == [kept]
    whole = second.ask(second.ports[0], f"/v1/fruit/replays/{kept['id']}")
    assert whole["policies"].keys() == kept["policies"].keys()
    assert told(second, "evaluate", "fruit", "--json")["metrics"]["accuracy"] > 0.4
    assert told(second, "reproduce", "fruit", "2", "--json")["outcome"] == "same"


def test_both_at_once_take_up_what_either_promotes(homes: list[Installation]) -> None:
    first, second = homes
    told(first, "up", "--detach")
    assert (served(first), served(second)) == (2, 2)
    write_rows(second.folder / "back.csv", 21, 9600)
    told(second, "ingest", "fruit", str(second.folder / "back.csv"))
    retrain(second, 3)
    wait_until_served(first, 3, 30)
    told(first, "rollback", "fruit")
    for one in homes:
        wait_until_served(one, 2, 30)


def test_no_secret_is_written_down(homes: list[Installation]) -> None:
    found = [
        path
        for one in homes
        for path in one.folder.rglob("*")
        if path.is_file() and path.stat().st_size < 50e6 and SECRET.encode() in path.read_bytes()
    ]
    assert found == []
