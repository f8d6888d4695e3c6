"""What MLflow's server can be made to do by a program that reaches its port."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from configs.settings import CHECKOUT, Settings, read_settings
from flows.servers.environment import child_environment
from flows.servers.guard import BlockPaths
from flows.servers.mlflow_limits import BLOCKED_PATHS
from flows.stack import probes, processes
from store.database.connection import ensure_databases, tool_url
from tests.ports import free_port

FAMILIES = {
    "/", "/build", "/get-artifact", "/graphql", "/health", "/version", "/model-versions", "/static-files",
    "mlflow-artifacts", "artifacts", "experiments", "get-online-trace-details", "get-trace-artifact",
    "logged-models", "metrics", "model-versions", "registered-models", "runs", "traces", "unified-traces",
    "upload-artifact", "datasets", "label-schemas", "review-queues", "scorers", "server-info", "ui-telemetry",
    "workspaces", "v1",
}  # fmt: skip
"""Parts of MLflow that stay: they read and write rows of its database, and files of its store."""


@pytest.fixture(scope="module")
def server(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """MLflow as `ratchet up` starts it."""
    home = tmp_path_factory.mktemp("home")
    port = str(free_port())
    settings = read_settings(
        {"RATCHET_HOME": str(home), "RATCHET_DATABASE_URL": postgres, "RATCHET_MLFLOW_PORT": port}
    )
    with psycopg.connect(postgres, autocommit=True) as conn:
        name = tool_url(postgres, "mlflow").rpartition("/")[2]
        conn.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    ensure_databases(postgres)
    command = [sys.executable, "-m", "flows.servers.mlflow"]
    started = processes.spawn(command, child_environment(settings, "mlflow"), home / "mlflow.log", CHECKOUT)
    while not probes.answers(f"{settings.mlflow_uri}/health"):
        assert processes.is_running(started), (home / "mlflow.log").read_text()
    yield settings
    processes.stop(lambda: processes.marked_processes(settings.home), 5.0)


def ask(settings: Settings, path: str, content: Any = None, method: str | None = None) -> tuple[int, Any]:
    body = content if content is None or isinstance(content, bytes) else json.dumps(content).encode()
    call = urllib.request.Request(f"{settings.mlflow_uri}{path}", data=body, method=method)
    call.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(call, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()


def make_run(settings: Settings, name: str) -> str:
    _, made = ask(settings, "/api/2.0/mlflow/experiments/create", {"name": name})
    content = {"experiment_id": json.loads(made)["experiment_id"]}
    _, run = ask(settings, "/api/2.0/mlflow/runs/create", content)
    return str(json.loads(run)["run"]["info"]["run_id"])


def test_no_experiment_keeps_its_artifacts_elsewhere(server: Settings, tmp_path: Path) -> None:
    for number, place in enumerate((str(tmp_path), tmp_path.as_uri(), "s3://bucket/x", "ftp://h/x")):
        content = {"name": f"elsewhere-{number}", "artifact_location": place}
        status, answer = ask(server, "/api/2.0/mlflow/experiments/create", content)
        assert status == 400
        assert b"artifact" in answer.lower()
    content = {"name": "here", "artifact_location": "mlflow-artifacts:/here"}
    assert ask(server, "/api/2.0/mlflow/experiments/create", content)[0] == 200


def test_files_outside_the_store_are_neither_read_nor_written(
    server: Settings, tmp_path: Path, postgres: str
) -> None:
    """Also where a row names them already, as one that was made before, and through links."""
    run = make_run(server, "linked")
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "password").write_text("hidden")
    (tmp_path / "mine" / run).mkdir(parents=True)
    (tmp_path / "mine" / run / "artifacts").symlink_to(secret)
    with psycopg.connect(tool_url(postgres, "mlflow"), autocommit=True) as conn:
        for place in (f"{tmp_path}/mine/{run}/artifacts", f"file://{tmp_path}/mine/{run}/artifacts"):
            conn.execute("UPDATE runs SET artifact_uri = %s WHERE run_uuid = %s", (place, run))
            status, answer = ask(server, f"/get-artifact?run_id={run}&path=password")
            assert status >= 400
            assert b"hidden" not in answer
            upload = f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run}&path=w.txt"
            assert ask(server, upload, b"mine")[0] >= 400
            assert b"password" not in ask(server, f"/api/2.0/mlflow/artifacts/list?run_id={run}")[1]
    assert [path.name for path in secret.iterdir()] == ["password"]


def test_artifacts_in_the_store_are_kept_and_read(server: Settings) -> None:
    run = make_run(server, "usual")
    upload = f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run}&path={quote('note.txt')}"
    assert ask(server, upload, b"kept")[0] == 200
    assert ask(server, f"/get-artifact?run_id={run}&path=note.txt") == (200, b"kept")
    assert list((server.home / "mlflow").rglob("note.txt")) != []


@pytest.mark.parametrize("path", BLOCKED_PATHS)
def test_what_runs_programs_or_calls_others_is_left_out(server: Settings, path: str) -> None:
    for method in ("GET", "POST", "PUT"):
        body = None if method == "GET" else b"{}"
        for below in (path, f"{path}/config", f"{path}/"):
            assert ask(server, below, body, method)[0] == 404


def test_every_part_of_mlflow_is_either_left_out_or_known() -> None:
    from mlflow.server import app as flask_app
    from mlflow.server.artifact_router import artifact_router
    from mlflow.server.assistant.api import assistant_router
    from mlflow.server.gateway_api import gateway_router
    from mlflow.server.job_api import job_api_router
    from mlflow.server.mcp_server_api import get_mcp_server_api_route_prefixes
    from mlflow.server.otel_api import otel_router
    from mlflow.server.server_info_api import server_info_router

    routers = (artifact_router, assistant_router, gateway_router, job_api_router, otel_router)
    paths = [rule.rule for rule in flask_app.url_map.iter_rules()]
    paths += [route.path for router in (*routers, server_info_router) for route in router.routes]  # type: ignore[attr-defined]
    paths += get_mcp_server_api_route_prefixes()
    parts = BlockPaths(None, BLOCKED_PATHS)  # type: ignore[arg-type]
    unknown = [path for path in paths if not parts.blocks(path) and family(path) not in FAMILIES]
    assert unknown == []
    assert len(paths) > 200


def family(path: str) -> str:
    """What a path of MLflow is about."""
    names = [name for name in path.split("/") if name]
    if not names:
        return "/"
    if names[0] in ("api", "ajax-api"):
        inner = names[3:] if names[2:3] == ["mlflow"] else names[2:]
        if names[1] == "2.0mlflow":  # so it is written there
            inner = names[2:]
        return inner[0]
    return names[0] if names[0] == "v1" else f"/{names[0]}"
