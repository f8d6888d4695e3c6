"""The OpenAPI document against the service, by requests that schemathesis makes of it.

Whatever is sent: no 5xx, and no status, media type, header or answer that is not described.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from configs.settings import CHECKOUT
from service.openapi.paths.labels import EXAMPLE_ID
from store.database.connection import connect, ensure_databases, tool_url
from tests.mlflow_servers import wait_for
from tests.ports import free_port
from tests.service.conftest import USE_CASES, FolderRegistry, Service, StartService, record_of
from tests.service.hosting.listening import listening
from tests.service.servers import Server, put_in_cache
from tests.service.tiny import classes_of

CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance",
    "response_headers_conformance", "response_schema_conformance", "unsupported_method",
)  # fmt: skip
SOME = "^/v1/[^/]+/(feedback|predictions|ledger|retrain/progress|rollback)|^/v1/trace|/infer$"
STREAM = "/retrain/progress$"
"""Streams end with their run, so they are asked for when no run is under way."""


def attack(url: str, folder: Path, *options: str) -> dict[str, Any]:
    """Run schemathesis, which must find nothing; gives its report."""
    report = folder / "report.json"
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{url}/docs.json", "--checks", ",".join(CHECKS),
        "--no-color", "--generation-deterministic", "--no-shrink",
        "--request-timeout", "20", "--suppress-health-check", "all", "--continue-on-failure",
        "--report-json-path", str(report), *options,
    ]  # fmt: skip
    environ = os.environ | {
        "SCHEMATHESIS_HOOKS": "tests.service.openapi.fuzz_hooks",
        "PYTHONPATH": str(CHECKOUT),
    }
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=2400)
    assert done.returncode == 0, done.stdout[-12000:] + done.stderr[-2000:]
    summary: dict[str, Any] = json.loads(report.read_text())
    assert summary["complete"] and not summary["failures"] and not summary["errors"], summary
    return summary


@pytest.fixture
def service_of_one(start_service: StartService, registry: FolderRegistry) -> Service:
    """A worker with two versions of one use case, and a ledger that says so."""
    for version in (1, 2):
        registry.add(USE_CASES["intents"], version)
    registry.production["intents"] = 2
    registry.others["intents"] = {"previous": 1, "link-transformer": 1}
    return start_service(RATCHET_USE_CASES="intents")


def test_a_few_hundred_requests_are_answered_as_described(service_of_one: Service, tmp_path: Path) -> None:
    with listening(service_of_one) as port:
        url = f"http://127.0.0.1:{port}"
        label_example(service_of_one)
        for path in ("retrain", "retrain/stop"):
            assert service_of_one.post(f"/v1/intents/{path}", b"").status_code == 202
        summary = attack(url, tmp_path, "--phases", "examples,coverage", "--include-path-regex", SOME)
        reached = summary["valid_rates"]["DELETE /v1/intents/feedback/{id}"]
        assert sum(phase["accepted"] for phase in reached.values()) > 0, reached
        assert summary["test_cases"]["generated"] >= 200
        assert summary["operations"]["tested"] == summary["operations"]["selected"]


def label_example(service: Service) -> None:
    """Label a record by the id that the document has for an example, so that it can be taken back."""
    use_case = USE_CASES["intents"]
    item = {"record": record_of(use_case) | {"id": EXAMPLE_ID}, "label": classes_of(use_case)[0]}
    answer = service.post("/v1/intents/feedback", {"items": [item]}).json()
    assert answer["accepted"] == 1, answer


@pytest.fixture
def mlflow(database_url: str, tmp_path: Path) -> Iterator[str]:
    """Port of a real MLflow, in which nothing is registered."""
    ensure_databases(database_url, ["mlflow"])
    port = str(free_port())
    environ = os.environ | {
        "RATCHET_HOME": str(tmp_path / "mlflow"), "RATCHET_DATABASE_URL": database_url,
        "RATCHET_MLFLOW_PORT": port,
    }  # fmt: skip
    (tmp_path / "mlflow").mkdir()
    with (tmp_path / "mlflow.log").open("wb") as log:
        command = [sys.executable, "-m", "flows.servers.mlflow"]
        process = subprocess.Popen(command, env=environ, cwd=CHECKOUT, stdout=log, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{port}", process, tmp_path / "mlflow.log")
        yield port
    finally:
        process.terminate()
        process.wait(20)
        with connect(database_url, autocommit=True) as conn:
            name = tool_url(database_url, "mlflow").rsplit("/", 1)[1]
            conn.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.slow
def test_thousands_of_requests_are_answered_as_described(
    database_url: str, mlflow: str, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    for use_case in USE_CASES.values():
        put_in_cache(home, use_case, 1, serving=1)
    with Server(home, database_url, RATCHET_MLFLOW_PORT=mlflow) as server:
        summary = attack(server.url, tmp_path, "--max-examples", "5", "--exclude-path-regex", STREAM)
        for name in USE_CASES:
            server.client.post(f"/v1/{name}/retrain/stop")
        phases = ("--phases", "coverage,fuzzing", "--max-examples", "5")
        streams = attack(server.url, home, *phases, "--include-path-regex", STREAM)
        assert server.process.poll() is None
    assert summary["test_cases"]["generated"] + streams["test_cases"]["generated"] >= 2000
    assert summary["operations"]["tested"] == summary["operations"]["selected"]
    errors = [line for line in server.log.read_text().splitlines() if "[ERROR]" in line]
    # BentoML logs what it refuses with 400 as an exception.
    assert [line for line in errors if "Exception on /predict [POST]" not in line] == []
