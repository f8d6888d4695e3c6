"""How Ratchet and what belongs to it are set up, as `ratchet up` does."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.harness.model import as_json
from benchmarks.harness.servers import Images, Peer, free_port
from benchmarks.hot_path.records import FOLDER, PICTURE
from configs.api_keys import add_key
from store.database.connection import ensure_databases, migrate
from store.database.embedded import EmbeddedPostgres

RATCHET = "ratchet"
OTHER_CHECKOUT = "ratchet, other checkout"
HANDLER = "same handler, bare uvicorn, no log"
BARE = "bare uvicorn handler"


def ratchet_home(folder: Path, artifacts: Sequence[Path], use_case: str) -> tuple[EmbeddedPostgres, Path]:
    """A home with a running database, in which the first artifact was served last."""
    home = folder / "home"
    cache = home / "cache" / "models" / use_case
    cache.mkdir(parents=True)
    for artifact in artifacts:
        shutil.copytree(artifact, cache / artifact.name)
    (cache / "serving.json").write_text(json.dumps({"version": int(artifacts[0].name)}))
    postgres = EmbeddedPostgres(home / "postgres")
    migrate(postgres.start())
    return postgres, home


def ratchet(
    home: Path,
    database_url: str,
    workers: int = 1,
    mlflow_uri: str = "",
    *,
    keys: bool = False,
    kind: str = PICTURE,
) -> Peer:
    """Ratchet as `ratchet up` starts it, for one kind of record; with `keys` callers have to show one."""
    port = free_port()
    environ = {
        "RATCHET_HOME": str(home),
        "RATCHET_DATABASE_URL": database_url,
        "RATCHET_PORT": str(port),
        "RATCHET_WORKERS": str(workers),
        "RATCHET_USE_CASES": kind,
        "MLFLOW_TRACKING_URI": mlflow_uri or f"http://127.0.0.1:{free_port()}",
    }
    if kind != PICTURE:
        environ["RATCHET_CONFIGS"] = str(FOLDER)
    command = [sys.executable, "-m", "service.run"]
    headers = {}
    if keys:
        token = add_key(home / "keys.yaml", "benchmark", ["predict"])
        headers["authorization"] = f"Bearer {token}"
    path, body = f"/v1/{kind}/predict", records_body if kind == PICTURE else rows_body("records")
    return Peer(RATCHET, command, port, path, body, environ, headers=headers)


def other_ratchet(checkout: Path, home: Path, database_url: str, *, keys: bool, kind: str) -> Peer:
    """Ratchet of another checkout, by its own environment."""
    peer = ratchet(home, database_url, keys=keys, kind=kind)
    command = [str(checkout / ".venv" / "bin" / "python"), "-m", "service.run"]
    environ = {**peer.environ, "PYTHONPATH": str(checkout)}
    return replace(peer, name=OTHER_CHECKOUT, command=command, environ=environ, cwd=checkout)


def mlflow_server(home: Path, database_url: str) -> Peer:
    """The tracking server and registry, as `ratchet up` starts it."""
    ensure_databases(database_url, ["mlflow"])
    port = free_port()
    environ = {
        "RATCHET_HOME": str(home),
        "RATCHET_DATABASE_URL": database_url,
        "RATCHET_MLFLOW_PORT": str(port),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [sys.executable, "-m", "flows.servers.mlflow"]
    search = "/api/2.0/mlflow/experiments/search"
    return Peer("MLflow", command, port, search, lambda _images: as_json({"max_results": 1}), environ)


def records_body(images: Images) -> str:
    """Ratchet's form."""
    return as_json({"records": [{"image": image} for image in images]})


def rows_body(key: str) -> Callable[[Images], str]:
    """The request that has records under a key as they are."""
    return lambda records: as_json({key: list(records)})
