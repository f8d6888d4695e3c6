"""How the servers for rows and texts are set up: the same records, a scikit-learn pipeline for the others."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.harness.model import as_json
from benchmarks.harness.recipes import RATCHET, ratchet, ratchet_home
from benchmarks.harness.servers import Images, Peer, free_port
from benchmarks.hot_path.records import FOLDER, artifacts
from configs.settings import CHECKOUT


def makers(kind: str, folder: Path, *, keys: bool) -> tuple[dict[str, Callable[[], Peer]], Callable[[], Any]]:
    """How each server is made, by its name; and what ends the database afterwards."""
    fitted = folder / "plain"
    command = [sys.executable, "-m", "benchmarks.peers.sklearn_model", kind, str(fitted)]
    environ = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    subprocess.run(command, cwd=CHECKOUT, env=environ, check=True, capture_output=True)
    postgres, home = ratchet_home(folder, [artifacts()[kind]], kind)
    found: dict[str, Callable[[], Peer]] = {
        RATCHET: partial(ours, kind, home, postgres.url, keys=keys),
        "FastAPI": partial(fastapi, kind, fitted),
        "stock BentoML": partial(bento, fitted, folder, "predict"),
        "stock BentoML, batchable": partial(bento, fitted, folder, "batched"),
        "mlflow models serve": partial(mlflow_serve, fitted, folder),
    }
    return found, postgres.stop


def ours(kind: str, home: Path, database_url: str, *, keys: bool) -> Peer:
    """Ratchet as `ratchet up` starts it."""
    peer = ratchet(home, database_url, keys=keys)
    environ = {**peer.environ, "RATCHET_USE_CASES": kind, "RATCHET_CONFIGS": str(FOLDER)}
    return replace(peer, path=f"/v1/{kind}/predict", body=body("records"), environ=environ)


def fastapi(kind: str, fitted: Path) -> Peer:
    """FastAPI."""
    port = free_port()
    model = str(fitted / "model.joblib")
    command = [sys.executable, "-m", "benchmarks.peers.fastapi_app", str(port), kind, model]
    return Peer("FastAPI", command, port, "/predict", body("records"))


def bento(fitted: Path, folder: Path, api: str) -> Peer:
    """Plain BentoML."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "bentoml", "serve", "benchmarks.peers.bento_frame:Frames"),
        *("--host", "127.0.0.1", "--port", str(port)),
    ]
    environ = {
        "BENCH_MODEL": str(fitted / "model.joblib"),
        "BENTOML_HOME": str(folder / f"bentoml-{api}"),
        "BENTOML_DO_NOT_TRACK": "True",
    }
    name = "stock BentoML, batchable" if api == "batched" else "stock BentoML"
    return Peer(name, command, port, f"/{api}", body("rows"), environ)


def mlflow_serve(fitted: Path, folder: Path) -> Peer:
    """`mlflow models serve` of the model as MLflow keeps scikit-learn's."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "mlflow", "models", "serve", "-m", str(fitted / "mlflow")),
        *("--env-manager", "local", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
    ]
    environ = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    return Peer(
        "mlflow models serve", command, port, "/invocations", body("dataframe_records"), environ, folder
    )


def body(key: str) -> Callable[[Images], str]:
    """The request that has the records under a key."""
    return lambda records: as_json({key: list(records)})
