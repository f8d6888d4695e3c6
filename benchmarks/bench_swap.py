"""Swapping versions under load: `make bench-swap`.

Two workers of the service answer a steady load while production moves, first by Ratchet's own
promotions, then by an alias moved by hand in MLflow. Every answer is compared with what each version
says of the same images, so that one answered by two versions, or by another than it names, is found.
Real PostgreSQL, real MLflow, real service. Ends with an error when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter

import numpy as np
import psutil
from rich.console import Console

from benchmarks.harness import model, recipes
from benchmarks.harness.load import LoadProcess, Plan
from benchmarks.harness.servers import Running
from benchmarks.harness.swap_report import Move, judge, show, summarise
from configs.settings import CHECKOUT
from models.gate.decision import GateDecision
from models.production.promotion import promote
from models.production.registry import Registry
from models.versions.cache import add_to_cache, cached_artifact
from models.versions.predictor import Predictor
from store.database.connection import connect
from store.runs import lifecycle
from store.runs.lifecycle import request_run

RESULTS = CHECKOUT / "benchmarks" / "results" / "swap.json"
USE_CASE = "digits"
RECORDS = 4
"""In a request: more than one, so that an answer could be of two versions."""
STEADY_SECONDS = 5.0
DECISION = GateDecision(
    "promote", "beats_production", "accuracy", 0, None, None, None, None, 0.0, "moved to be measured"
)


@dataclass(frozen=True)
class Stage:
    """Everything that runs."""

    home: Path
    database_url: str
    registry: Registry
    mlflow: Running
    service: Running
    artifacts: list[Path]

    @property
    def cache(self) -> Path:
        """Where servers keep versions that they have fetched."""
        return self.home / "cache" / "models"


def main() -> None:
    """Measure, print, write and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--promotions", type=int, default=20)
    parser.add_argument("--by-hand", type=int, default=4, help="moves of the alias in MLflow")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds that a connection rests")
    options = parser.parse_args()
    console = Console(width=120)
    artifacts = model.versions()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stage = set_up(folder, artifacts, stack)
        console.print("PostgreSQL, MLflow and two workers are up")
        plan = plan_for(
            stage, options.connections, options.pause, options.promotions * 3 + options.by_hand * 9
        )
        with loaded(stage, plan) as load:
            time.sleep(STEADY_SECONDS)
            order = cycle([2, 3, 4, 1])
            moves = [move(stage, number, by_promotion, 2.0) for number in islice(order, options.promotions)]
            moves += [move(stage, number, by_hand, 8.0) for number in islice(order, options.by_hand)]
            outcome = load.wait()
    summary = summarise(outcome, moves)
    targets = judge(summary)
    show(console, summary, targets)
    RESULTS.parent.mkdir(exist_ok=True)
    content = {
        "summary": summary.as_dict(),
        "targets": [target.as_dict() for target in targets],
        "load": {
            "connections": options.connections,
            "pause": options.pause,
            "records": RECORDS,
            "workers": 2,
        },
        "cores": os.cpu_count(),
        "moves": [asdict(production_move) for production_move in moves],
    }
    RESULTS.write_text(json.dumps(content, indent=1))
    console.print(f"written to {RESULTS.relative_to(CHECKOUT)}")
    sys.exit(0 if all(target.met for target in targets) else 1)


def set_up(folder: Path, artifacts: list[Path], stack: ExitStack, workers: int = 2) -> Stage:
    """Start the servers and register the versions; the first is production."""
    postgres, home = recipes.ratchet_home(folder, artifacts[:1], USE_CASE)
    stack.callback(postgres.stop)
    mlflow_server = Running(recipes.mlflow_server(home, postgres.url), folder, [])
    stack.callback(mlflow_server.stop)
    uri = f"http://127.0.0.1:{mlflow_server.peer.port}"
    registry = Registry(uri)
    for artifact in artifacts:
        register(registry, artifact)
    registry.set_alias(USE_CASE, "production", 1)
    service = Running(recipes.ratchet(home, postgres.url, workers, uri), folder, model.digit_images(1))
    stack.callback(service.stop)
    return Stage(home, postgres.url, registry, mlflow_server, service, artifacts)


def register(registry: Registry, artifact: Path) -> int:
    """Log an artifact and make it a version, as a retrain does."""
    import mlflow

    from models.pyfunc import log_model

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    mlflow.set_tracking_uri(registry.tracking_uri)
    mlflow.set_experiment(USE_CASE)
    with mlflow.start_run() as run:
        return registry.register(USE_CASE, log_model(artifact), run.info.run_id, {})


def plan_for(stage: Stage, connections: int, pause: float, seconds: float) -> Plan:
    """The load, with the answers of each version to each request."""
    images = model.digit_images(RECORDS * 16)
    columns = {"image": np.array(images, dtype=np.uint8)}
    expected = {}
    for number, artifact in enumerate(stage.artifacts, start=1):
        scores = Predictor.load(artifact).predict(columns).probabilities
        expected[str(number)] = scores.reshape(len(images) // RECORDS, -1).astype(float).tolist()
    bodies = [stage.service.peer.body(images[at : at + RECORDS]) for at in range(0, len(images), RECORDS)]
    return Plan(
        stage.service.peer.port, stage.service.peer.path, bodies, connections, STEADY_SECONDS + seconds,
        pause=pause, expected=expected,
    )  # fmt: skip


@contextmanager
def loaded(stage: Stage, plan: Plan) -> Iterator[LoadProcess]:
    """The load, once it reaches every worker: the system shares connections out as it likes."""
    for _attempt in range(5):
        with LoadProcess(plan) as load:
            time.sleep(2.0)
            if all(connections_of(worker, plan.port) for worker in worker_processes(stage)):
                yield load
                return
    raise RuntimeError("the load does not reach both workers")


def worker_processes(stage: Stage) -> list[psutil.Process]:
    """The processes of the service that answer."""
    family = psutil.Process(stage.service.process.pid).children(recursive=True)
    return [process for process in family if "_bentoml_impl.worker.service" in " ".join(process.cmdline())]


def connections_of(process: psutil.Process, port: int) -> int:
    """How many connections it holds on the port of the service."""
    connections = process.net_connections(kind="tcp")
    return sum(
        connection.status == psutil.CONN_ESTABLISHED and connection.laddr.port == port
        for connection in connections
    )


def move(stage: Stage, version: int, how: Callable[[Stage, int], None], rest: float) -> Move:
    """Move production and let the load go on for a while."""
    begun = perf_counter()
    how(stage, version)
    moved = perf_counter()
    time.sleep(rest)
    return Move(how.__name__, version, begun, moved, perf_counter())


def by_promotion(stage: Stage, version: int) -> None:
    """As a retrain does when its challenger has won."""
    add_to_cache(stage.artifacts[version - 1], stage.cache, USE_CASE, version)
    with connect(stage.database_url) as conn:
        run_id = request_run(conn, USE_CASE, "retrain", "benchmark")
        token = lifecycle.start_run(conn, run_id)
        conn.commit()
        promote(
            conn, stage.registry, USE_CASE,
            version=version, against=stage.registry.alias_version(USE_CASE, "production"),
            decision=DECISION, actor="benchmark", run_id=run_id, token=token,
        )  # fmt: skip
        lifecycle.finish_run(conn, run_id, token, "succeeded")
        conn.commit()


def by_hand(stage: Stage, version: int) -> None:
    """As a person does in MLflow, on another machine: each worker's cache lacks the version."""
    shutil.rmtree(cached_artifact(stage.cache, USE_CASE, version), ignore_errors=True)
    stage.registry.set_alias(USE_CASE, "production", version)


if __name__ == "__main__":
    main()
