"""A whole stack behind a PgBouncer in transaction mode, with a direct address beside it and without."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from configs.settings import Settings, read_settings
from flows.context import LoopContext, open_context
from flows.stack.starting import bring_up
from flows.stack.stopping import bring_down
from models.production import ledger
from store.database.embedded import EmbeddedPostgres
from store.feedback.sources import (
    OPEN,
)  # that of labels over HTTP: the gate holds back what one of several brings
from store.ingest.files import ingest_file
from tests.e2e.apples import CONFIG, USE_CASE, write_apples
from tests.poolers import needs_pgbouncer, pooled
from tests.ports import free_port

pytestmark = [pytest.mark.slow, needs_pgbouncer]
POOL = 12
"""Sessions of a database that the pooler hands round: fewer than there are clients."""
LABELS = CONFIG + "retrain: {min_labels: 50, every_labels: 500}\n"


@pytest.fixture(scope="module", params=["polling", "direct"])
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("pooled")
    (folder / f"{USE_CASE}.yaml").write_text(LABELS, encoding="utf-8")
    server = EmbeddedPostgres(folder / "postgres", {"fsync": "off"})
    url = server.start()
    try:
        with pooled(url, folder / "pooler", size=POOL) as pooler:
            environment = {
                "RATCHET_HOME": str(folder / "home"),
                "RATCHET_PORT": str(free_port()),
                "RATCHET_MLFLOW_PORT": str(free_port()),
                "RATCHET_PREFECT_PORT": str(free_port()),
                "RATCHET_CONFIGS": str(folder),
                "RATCHET_USE_CASES": USE_CASE,
                "RATCHET_WORKERS": "2",
                "RATCHET_DATABASE_URL": pooler,
                "PATH": os.environ["PATH"],
            }
            if request.param == "direct":
                environment["RATCHET_DATABASE_DIRECT_URL"] = url
            settings = read_settings(environment)
            try:
                bring_up(settings, lambda _server, _what: None)
                yield settings
            finally:
                bring_down(settings, lambda _server, _what: None)
    finally:
        server.stop()


def wait_for(true: Callable[[], Any], what: str, seconds: float = 400) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, what
        time.sleep(0.05)


def served(client: httpx.Client, settings: Settings) -> int | None:
    health = client.get(f"{settings.service_url}/health").json()
    version: int | None = health["use_cases"][USE_CASE]["version"]
    return version


def moves(context: LoopContext) -> list[ledger.Entry]:
    with context.connect() as conn:
        return [entry for entry in ledger.history(conn, USE_CASE) if entry.event == "promoted"]


def test_the_loop_goes_round(stack: Settings, tmp_path: Path) -> None:
    context = open_context(USE_CASE, stack)
    with httpx.Client(base_url=f"{stack.service_url}/v1/{USE_CASE}/", timeout=60) as client:
        # One source of all labels: what is gained by one of several the gate holds back.
        with context.connect() as conn:
            ingest_file(
                conn, context.use_case, write_apples(tmp_path / "first.csv", 600, edge=0.5), door=OPEN
            )
        client.post("retrain").raise_for_status()
        wait_for(lambda: moves(context), "the first promotion")
        wait_for(lambda: served(client, stack) == 1, "the first version")
        for number in range(40):  # whichever of the workers answers, and by whatever session
            record = {"weight": number / 40, "colour": "red"}
            answer = client.post("predict", json={"records": [record]}).raise_for_status().json()
            label = "good" if number > 20 else "poor"
            item = {"prediction_id": answer["predictions"][0]["id"], "label": label}
            told = client.post("feedback", json={"items": [item]}).raise_for_status().json()
            assert told["accepted"] == 1, told
        body = {"records": [{"weight": 0.7, "colour": "red"}]}
        job = client.post("predictions", json=body).raise_for_status().json()["job_id"]
        wait_for(lambda: client.get(f"predictions/{job}").status_code == 200, "a job")
        # Another world: labels make a retrain due, which promotes, and the workers take it up.
        with context.connect() as conn:
            ingest_file(
                conn, context.use_case, write_apples(tmp_path / "then.csv", 1500, edge=0.75), door=OPEN
            )
        wait_for(lambda: len(moves(context)) == 2, "a second promotion")
        newest = moves(context)[0].to_version
        wait_for(lambda: served(client, stack) == newest, "the swap")
        assert client.get(f"{stack.service_url}/health").json()["status"] == "ok"
    logs = {path.name: path.read_text(encoding="utf-8") for path in (stack.home / "logs").glob("*.log")}
    for trouble in ("prepared statement", 'relation "', "transaction is aborted", "Traceback"):
        assert not [name for name, text in logs.items() if trouble in text], trouble
