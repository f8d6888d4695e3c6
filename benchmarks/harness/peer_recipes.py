"""How the other servers are set up, as their own documentation shows; the same list for each kind of record.

Pictures are answered by the artifact's own graph, rows and texts by a scikit-learn pipeline as a graph; where
people would serve such a pipeline as it is, that stands beside it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.harness.model import as_json
from benchmarks.harness.recipes import BARE, HANDLER, records_body, rows_body
from benchmarks.harness.servers import Images, Peer, free_port
from benchmarks.harness.tensor_servers import tensor_servers
from benchmarks.hot_path.records import PICTURE
from configs.settings import CHECKOUT

BENTO, MLFLOW = "stock BentoML", "mlflow models serve"
BY_PIPELINE = ", scikit-learn"
Body = Callable[[Images], str]


def makers(kind: str, artifact: Path, folder: Path) -> dict[str, Callable[[], Peer]]:
    """How each server is made, by its name."""
    fitted = folder / "plain"
    graph = artifact / "model.onnx" if kind == PICTURE else fitted / "model.onnx"
    found: dict[str, Callable[[], Peer]] = {
        HANDLER: partial(handler, kind, artifact),
        BARE: partial(bare, kind, graph),
        "FastAPI": partial(fastapi, "FastAPI", kind, graph),
    }
    body: Body
    if kind == PICTURE:
        service, body = "stock_bento:Stock", images_body
        found[MLFLOW] = lambda: mlflow_serve(logged(artifact, folder), folder, pictures_frame)
    else:
        fit(kind, artifact, fitted)
        service, body = "bento_graph:Graphs", rows_body("records")
        pipeline, frames = fitted / "model.joblib", "bento_frame:Frames"
        found["FastAPI" + BY_PIPELINE] = partial(fastapi, "FastAPI" + BY_PIPELINE, kind, pipeline)
        for api in ("predict", "batched"):
            name = bento_name(BENTO + BY_PIPELINE, api)
            found[name] = partial(bento, name, frames, kind, pipeline, folder, api, rows_body("rows"))
        found[MLFLOW] = partial(mlflow_serve, str(fitted / "mlflow"), folder, rows_body("dataframe_records"))
    for api in ("predict", "batched"):
        name = bento_name(BENTO, api)
        found[name] = partial(bento, name, service, kind, graph, folder, api, body)
    return found | tensor_servers(kind, graph, folder)


def fit(kind: str, artifact: Path, fitted: Path) -> None:
    """The pipeline and its graph, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.peers.sklearn_model", kind, str(artifact), str(fitted)]
    environ = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    subprocess.run(command, cwd=CHECKOUT, env=environ, check=True, capture_output=True)


def handler(kind: str, artifact: Path) -> Peer:
    """Ratchet's handler on bare uvicorn, without a log."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.peers.handler", str(port), str(artifact)]
    return Peer(HANDLER, command, port, f"/v1/{kind}/predict", records_of(kind))


def bare(kind: str, graph: Path) -> Peer:
    """A bare handler."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.peers.bare", str(port), kind, str(graph)]
    return Peer(BARE, command, port, "/", records_of(kind))


def fastapi(name: str, kind: str, model: Path) -> Peer:
    """FastAPI, of a pipeline or a graph."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.peers.fastapi_app", str(port), kind, str(model)]
    return Peer(name, command, port, "/predict", records_of(kind))


def bento_name(name: str, api: str) -> str:
    """The name of one of the two APIs of a service."""
    return f"{name}, batchable" if api == "batched" else name


def bento(name: str, service: str, kind: str, model: Path, folder: Path, api: str, body: Body) -> Peer:
    """Plain BentoML: one of two APIs."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "bentoml", "serve", f"benchmarks.peers.{service}"),
        *("--host", "127.0.0.1", "--port", str(port)),
    ]
    environ = {
        "BENCH_MODEL": str(model),
        "BENCH_KIND": kind,
        "BENTOML_HOME": str(folder / f"bentoml-{service.partition(':')[0]}-{api}"),
        "BENTOML_DO_NOT_TRACK": "True",
    }
    return Peer(name, command, port, f"/{api}", body, environ)


def logged(artifact: Path, folder: Path) -> str:
    """The address of the model as Ratchet registers it."""
    completed = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.peers.logged_model"),
            *(mlflow_store(folder), str(artifact), str(folder / "mlflow")),
        ],
        cwd=CHECKOUT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return completed.stdout.splitlines()[-1]


def mlflow_store(folder: Path) -> str:
    """Where MLflow keeps what is logged."""
    return f"sqlite:///{folder}/mlflow.db"


def mlflow_serve(model: str, folder: Path, body: Body) -> Peer:
    """`mlflow models serve`."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "mlflow", "models", "serve", "-m", model, "--env-manager", "local"),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
    ]
    environ = {
        "MLFLOW_TRACKING_URI": mlflow_store(folder),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        # MLflow runs `uvicorn` through a shell.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    return Peer(MLFLOW, command, port, "/invocations", body, environ, folder)


def records_of(kind: str) -> Body:
    """Ratchet's form."""
    return records_body if kind == PICTURE else rows_body("records")


def images_body(images: Images) -> str:
    """The form of `benchmarks.peers.stock_bento`."""
    return as_json({"images": list(images)})


def pictures_frame(images: Images) -> str:
    """The form of MLflow's data frames."""
    return as_json({"dataframe_records": [{"image": image} for image in images]})
