"""The real thing: BentoML, sockets, processes, and kills."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import psutil
import psycopg
import pytest

from models.production import ledger
from service.metrics import WRITE_SECONDS
from store.database.connection import connect
from tests.disks import fill, small_disk
from tests.service.conftest import USE_CASES, record_of
from tests.service.servers import Server, put_in_cache
from tests.service.swap.test_watcher import wait_for

DIGITS = USE_CASES["digits"]
MEGABYTE = 1024 * 1024


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where version 1 of every use case was served last, and a version 2 is at hand."""
    for use_case in USE_CASES.values():
        put_in_cache(tmp_path / "home", use_case, 1, serving=1)
        put_in_cache(tmp_path / "home", use_case, 2)
    return tmp_path / "home"


@pytest.fixture
def server(home: Path, database_url: str) -> Iterator[Server]:
    """One worker."""
    with Server(home, database_url) as running:
        yield running


def stored(conn: psycopg.Connection) -> set[str]:
    return {row[0] for row in conn.execute("SELECT id FROM prediction")}


def test_everything_is_where_it_should_be(server: Server) -> None:
    answers = server.predict("digits", [record_of(DIGITS)])
    assert answers["model"]["version"] == 1
    assert server.client.get("/livez").status_code == 200
    assert server.client.get("/health").json()["use_cases"]["digits"]["state"] == "serving"
    page = server.client.get("/")
    assert "swagger" in page.text.lower()
    # The page holds a tracker of BentoML's, inline and as a frame: browsers may load neither.
    assert "script-src" not in page.headers["content-security-policy"]
    assert page.headers["content-security-policy"].startswith("default-src 'self';")
    for path, status in (("/livez", 405), ("/nowhere", 404), ("/static_content/nope.js", 404)):
        refused = server.client.post(path)
        assert refused.status_code == status
        assert set(refused.json()["error"]) == {"code", "message", "details"}
    assert server.client.get("/static_content/swagger-ui.css").status_code == 200
    refused = server.client.post("/predict", json={"item": []})
    assert refused.status_code == 400
    assert "field 'items'" in refused.json()["error"]["message"]
    for kind in ("multipart/form-data", "application/vnd.bentoml+pickle"):
        refused = server.client.post("/predict", content=b"", headers={"content-type": kind})
        assert (refused.status_code, refused.json()["error"]["code"]) == (415, "wrong_media_type")
    time.sleep(WRITE_SECONDS * 2)
    metrics = server.client.get("/metrics").text
    assert 'ratchet_requests_total{route="predict",status="200",use_case="digits"} 1.0' in metrics
    assert "/nowhere" not in metrics
    assert "bentoml_service_request_total" in metrics
    (worker,) = server.workers()
    assert worker.memory_info().rss < 450 * MEGABYTE


def test_bentoml_s_own_client_works_and_a_bad_item_harms_no_other(
    server: Server, conn: psycopg.Connection
) -> None:
    items = [
        {"use_case": name, "record": record_of(use_case)} for name, use_case in USE_CASES.items()
    ] + [{"use_case": "digits", "record": {"image": [1]}}, {"use_case": "nope", "record": {}}]  # fmt: skip
    code = (
        "import bentoml, json, sys\n"
        "with bentoml.SyncHTTPClient(sys.argv[1]) as client:\n"
        "    print(json.dumps(client.predict(items=json.load(sys.stdin))))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code, server.url],
        input=json.dumps(items),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert shown.returncode == 0, shown.stderr + server.log.read_text()
    answers: list[dict[str, Any]] = json.loads(shown.stdout.splitlines()[-1])
    assert [answer.get("model", {}).get("name") for answer in answers] == [*USE_CASES, None, None]
    assert [answer.get("error", {}).get("code") for answer in answers][-2:] == ["invalid", "unknown_use_case"]
    wait_for(lambda: stored(conn) == {answer["id"] for answer in answers if "id" in answer})


def test_the_openapi_document_describes_what_is_accepted(server: Server) -> None:
    document = server.client.get("/docs.json").json()
    assert document["openapi"] == "3.1.0"
    for name, use_case in USE_CASES.items():
        schema = document["components"]["schemas"][f"{name}_record"]
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.validate(record_of(use_case), schema)
        answered = document["paths"][f"/v1/{name}/predict"]["post"]["responses"]["200"]
        body = answered["content"]["application/json"]["schema"]
        jsonschema.validate(server.predict(name, [record_of(use_case) | {"id": 7}]), body)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({field.name: {} for field in use_case.record.fields}, schema)
    names = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names))


def test_sigterm_ends_it_soon_with_everything_stored(server: Server, conn: psycopg.Connection) -> None:
    given = {one["id"] for one in server.predict("digits", [record_of(DIGITS)] * 20)["predictions"]}
    assert server.stop() < 8
    assert stored(conn) == given
    assert list((server.log.parent / "journal").iterdir()) == []


def predict_until_killed(server: Server, seconds: float, callers: int) -> set[str]:
    """Ids acknowledged to callers at the moment of the kill."""
    until = time.monotonic() + seconds
    acknowledged: set[str] = set()

    def call() -> None:
        with httpx.Client(base_url=server.url, timeout=10) as client:
            while time.monotonic() < until + 10:
                try:
                    response = client.post("/v1/digits/predict", json={"records": [record_of(DIGITS)]})
                    acknowledged.update(one["id"] for one in response.json()["predictions"])
                except httpx.TransportError:
                    return

    with ThreadPoolExecutor(callers) as pool:
        calls = [pool.submit(call) for _ in range(callers)]
        time.sleep(max(0.0, until - time.monotonic()))
        wait_for(lambda: len(acknowledged) > 20)  # also where the machine is busy
        server.kill()
        for one in calls:
            one.result()
    return acknowledged


def check_no_prediction_is_lost(home: Path, database_url: str, seconds: float, workers: str = "1") -> None:
    with Server(home, database_url, RATCHET_WORKERS=workers) as server:
        acknowledged = predict_until_killed(server, seconds, 8)
    with Server(home, database_url, RATCHET_WORKERS=workers), connect(database_url, autocommit=True) as conn:
        wait_for(lambda: acknowledged <= stored(conn), 20)


def test_predictions_acknowledged_before_a_kill_are_stored(home: Path, database_url: str) -> None:
    check_no_prediction_is_lost(home, database_url, 0.7)


@pytest.mark.faults
@pytest.mark.parametrize("turn", range(5))
def test_predictions_of_several_workers_survive_kills(home: Path, database_url: str, turn: int) -> None:
    check_no_prediction_is_lost(home, database_url, 2.0 + turn * 0.37, workers="2")


def check_no_feedback_is_lost(home: Path, database_url: str, requests: int, items: int) -> None:
    acknowledged = 0
    with Server(home, database_url) as server:
        for turn in range(requests):
            batch = [
                {"record": record_of(DIGITS) | {"id": f"{turn}-{number}"}, "label": "3"}
                for number in range(items)
            ]
            acknowledged += server.client.post("/v1/digits/feedback", json={"items": batch}).json()[
                "accepted"
            ]
        server.kill()
    assert acknowledged == requests * items
    with connect(database_url, autocommit=True) as conn:
        assert conn.execute("SELECT count(*) FROM feedback").fetchone() == (acknowledged,)


def test_feedback_acknowledged_before_a_kill_is_stored(home: Path, database_url: str) -> None:
    check_no_feedback_is_lost(home, database_url, requests=4, items=25)


@pytest.mark.faults
def test_a_thousand_items_of_feedback_survive_a_kill(home: Path, database_url: str) -> None:
    check_no_feedback_is_lost(home, database_url, requests=1000, items=1)


def test_every_worker_follows_a_promotion(home: Path, database_url: str) -> None:
    with Server(home, database_url, RATCHET_WORKERS="2") as server, connect(database_url) as conn:
        assert len(server.workers()) == 2
        # Version 2 is in the cache, but what the registry says of it is not to be had while MLflow is away.
        wait_for(lambda: versions_served(server) == [1.0, 1.0] and listeners(conn) == 2, seconds=30.0)
        ledger.announce(conn, "digits", 2)
        conn.commit()
        # Well before the slow poll would have found it; how soon is what bench-swap measures.
        wait_for(lambda: versions_served(server) == [2.0, 2.0], seconds=9.0)
        assert server.predict("digits", [record_of(DIGITS)])["model"]["version"] == 2


def listeners(conn: psycopg.Connection) -> int:
    """Workers that hear notices; one that does not yet would look at MLflow, which is away here."""
    row = conn.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'LISTEN %'"
    ).fetchone()
    conn.commit()
    assert row is not None
    return int(row[0])


def versions_served(server: Server) -> list[float]:
    """What each worker serves, of those that have taken up anything."""
    text = server.client.get("/metrics").text
    found = re.findall(r'ratchet_model_version\{pid="\d+",use_case="digits"\} (\S+)', text)
    return [float(value) for value in found]


def test_workers_do_not_outlive_the_one_that_started_them(server: Server) -> None:
    workers = server.workers()
    server.process.kill()
    server.process.wait(10)
    _, alive = psutil.wait_procs(workers, timeout=15)
    assert alive == []


@pytest.mark.faults
def test_a_killed_worker_is_replaced_and_its_log_taken_over(home: Path, database_url: str) -> None:
    with (
        Server(home, database_url, RATCHET_WORKERS="2") as server,
        connect(database_url, autocommit=True) as conn,
    ):
        given = {
            one["id"]
            for _ in range(20)
            for one in server.predict("digits", [record_of(DIGITS)])["predictions"]
        }
        victim = server.workers()[0]
        victim.kill()
        psutil.wait_procs([victim], timeout=5)
        wait_for(lambda: len(server.workers()) == 2, 30)
        wait_for(lambda: given <= stored(conn), 30)


@pytest.mark.faults
def test_a_worker_that_is_killed_while_the_disk_is_full_is_replaced(
    tmp_path: Path, database_url: str
) -> None:
    with small_disk(tmp_path / "disk", megabytes=16) as disk:
        put_in_cache(disk / "home", DIGITS, 1, serving=1)
        (disk / "home" / "service.log").symlink_to(tmp_path / "service.log")
        with (
            Server(disk / "home", database_url, RATCHET_USE_CASES="digits") as server,
            connect(database_url, autocommit=True) as conn,
        ):
            ballast = fill(disk)
            (victim,) = server.workers()
            victim.kill()
            psutil.wait_procs([victim], timeout=5)

            def answer() -> str:
                try:
                    told = server.client.post("/v1/digits/predict", json={"records": [record_of(DIGITS)]})
                except httpx.TransportError:
                    return "nobody"
                return "" if told.status_code == 200 else str(told.json()["error"]["code"])

            wait_for(lambda: answer() in ("", "log_unwritable"), 60)
            (replaced,) = server.workers()
            assert "in /metrics: [Errno 28]" in server.log.read_text()
            fill(disk)  # also what the one before has left
            wait_for(lambda: answer() == "log_unwritable")
            assert server.client.get("/metrics").status_code == 200
            ballast.unlink()
            answered = server.predict("digits", [record_of(DIGITS)])["predictions"]
            assert server.workers() == [replaced]
            wait_for(lambda: {one["id"] for one in answered} <= stored(conn), 30)
