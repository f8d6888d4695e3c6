"""How each server is set up: Ratchet as `ratchet up` does, the others as their own documentation shows."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.harness.model import as_json
from benchmarks.harness.servers import Images, Peer, free_port
from configs.api_keys import add_key
from configs.settings import CHECKOUT
from store.database.connection import ensure_databases, migrate
from store.database.embedded import EmbeddedPostgres

RATCHET = "ratchet"
OTHER_CHECKOUT = "ratchet, other checkout"
HANDLER = "same handler, bare uvicorn, no log"
BARE = "bare uvicorn handler"
MLSERVER_HOME = CHECKOUT / "build" / "peers" / "mlserver"
MLSERVER_PACKAGES = ("mlserver", "onnxruntime")


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
    home: Path, database_url: str, workers: int = 1, mlflow_uri: str = "", *, keys: bool = False
) -> Peer:
    """Ratchet as `ratchet up` starts it; with `keys` callers have to show one."""
    port = free_port()
    environ = {
        "RATCHET_HOME": str(home),
        "RATCHET_DATABASE_URL": database_url,
        "RATCHET_PORT": str(port),
        "RATCHET_WORKERS": str(workers),
        "RATCHET_USE_CASES": "digits",
        "MLFLOW_TRACKING_URI": mlflow_uri or f"http://127.0.0.1:{free_port()}",
    }
    command = [sys.executable, "-m", "service.run"]
    headers = {}
    if keys:
        token = add_key(home / "keys.yaml", "benchmark", ["predict"])
        headers["authorization"] = f"Bearer {token}"
    return Peer(RATCHET, command, port, "/v1/digits/predict", records_body, environ, headers=headers)


def other_ratchet(checkout: Path, home: Path, database_url: str) -> Peer:
    """Ratchet of another checkout, by its own environment."""
    peer = ratchet(home, database_url)
    command = [str(checkout / ".venv" / "bin" / "python"), "-m", "service.run"]
    return replace(peer, name=OTHER_CHECKOUT, command=command, cwd=checkout)


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


def handler(artifact: Path) -> Peer:
    """Ratchet's handler on bare uvicorn, without a log."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.peers.handler", str(port), str(artifact)]
    return Peer(HANDLER, command, port, "/v1/digits/predict", records_body)


def bare(artifact: Path) -> Peer:
    """A bare handler."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.peers.bare", str(port), str(artifact / "model.onnx")]
    return Peer(BARE, command, port, "/", records_body)


def stock_bento(artifact: Path, folder: Path, api: str) -> Peer:
    """Plain BentoML."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "bentoml", "serve", "benchmarks.peers.stock_bento:Stock"),
        *("--host", "127.0.0.1", "--port", str(port)),
    ]
    environ = {
        "BENCH_MODEL": str(artifact / "model.onnx"),
        "BENTOML_HOME": str(folder / f"bentoml-{api}"),
        "BENTOML_DO_NOT_TRACK": "True",
    }
    name = "stock BentoML, batchable" if api == "batched" else "stock BentoML"
    return Peer(name, command, port, f"/{api}", lambda images: as_json({"images": list(images)}), environ)


def mlflow_serve(artifact: Path, folder: Path) -> Peer:
    """`mlflow models serve` of the model as Ratchet registers it."""
    port = free_port()
    store = f"sqlite:///{folder}/mlflow.db"
    completed = subprocess.run(
        [sys.executable, "-m", "benchmarks.peers.logged_model", store, str(artifact), str(folder / "mlflow")],
        cwd=CHECKOUT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    uri = completed.stdout.splitlines()[-1]
    command = [
        *(sys.executable, "-m", "mlflow", "models", "serve", "-m", uri, "--env-manager", "local"),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
    ]
    environ = {
        "MLFLOW_TRACKING_URI": store,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        # MLflow runs `uvicorn` through a shell.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }

    def body(images: Images) -> str:
        return as_json({"dataframe_records": [{"image": image} for image in images]})

    return Peer("mlflow models serve", command, port, "/invocations", body, environ, folder)


def mlserver(artifact: Path, folder: Path) -> Peer:
    """MLServer with a custom runtime."""
    return _mlserver("MLServer", artifact, folder, {})


def mlserver_batching(artifact: Path, folder: Path) -> Peer:
    """The same with MLServer's adaptive batching."""
    return _mlserver("MLServer, batching", artifact, folder, {"max_batch_size": 32, "max_batch_time": 0.005})


def _mlserver(name: str, artifact: Path, folder: Path, batching: dict[str, Any]) -> Peer:
    _install_mlserver()
    port = free_port()
    settings = {
        "http_port": port, "grpc_port": free_port(), "metrics_port": free_port(), "host": "127.0.0.1",
        "parallel_workers": 0, "debug": False,
    }  # fmt: skip
    model = {
        "name": "digits",
        "implementation": "mlserver_model.Digits",
        "parameters": {"uri": str(artifact / "model.onnx")},
        **batching,
    }
    home = folder / name.replace(", ", "-")
    home.mkdir()
    (home / "settings.json").write_text(json.dumps(settings))
    (home / "model-settings.json").write_text(json.dumps(model))
    shutil.copy(CHECKOUT / "benchmarks" / "peers" / "mlserver_model.py", home)
    command = [str(MLSERVER_HOME / "bin" / "mlserver"), "start", str(home)]
    return Peer(name, command, port, "/v2/models/digits/infer", tensor_body, cwd=home)


def tensor_body(images: Images) -> str:
    """The form of the Open Inference Protocol."""
    flat = [[pixel for row in image for pixel in row] for image in images]
    tensor = {"name": "images", "datatype": "UINT8", "shape": [len(flat), 784], "data": flat}
    return as_json({"inputs": [tensor]})


def _install_mlserver() -> None:
    """Into an environment of its own, kept in `build/`: its pins do not go with Ratchet's.

    Raises:
        RuntimeError: it cannot be installed here.
    """
    if (MLSERVER_HOME / "bin" / "mlserver").exists():
        return
    uv = str(Path(sys.executable).parent / "uv")
    python = str(MLSERVER_HOME / "bin" / "python")
    for command in (
        [uv, "venv", "-q", "--clear", "--python", sys.executable, str(MLSERVER_HOME)],
        [uv, "pip", "install", "-q", "--python", python, *MLSERVER_PACKAGES],
    ):
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except subprocess.CalledProcessError as error:
            raise RuntimeError(f"MLServer cannot be installed here: {error.stderr}") from error
        except OSError as error:
            raise RuntimeError(f"MLServer cannot be installed here: {error}") from error
