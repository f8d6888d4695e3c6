"""Servers in namespaces, on one real PostgreSQL and one real MLflow of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg

from configs.api_keys import add_key
from configs.settings import CHECKOUT
from features.records.example import example_record
from models.production import ledger
from models.production.registry_rest import MlflowRest
from models.versions.artifact import artifact_digest
from store.database.connection import connect, migrate
from store.database.embedded import EmbeddedPostgres, binary
from store.database.embedded_user import launcher_for
from tests.e2e.replicas.networks import CLIENT, DATABASE, MLFLOW, OF_TEN
from tests.ports import closed_port
from tests.service.conftest import USE_CASES
from tests.service.servers import Server
from tests.service.tiny import make_artifact

DIGITS = USE_CASES["digits"]
PUBLISH = """
import sys
from pathlib import Path
import mlflow
from models.pyfunc import log_model
from models.production.registry import Registry
uri, name, *artifacts = sys.argv[1:]
mlflow.set_tracking_uri(uri)
mlflow.set_experiment(name)
for artifact in artifacts:
    with mlflow.start_run() as run:
        model = log_model(Path(artifact))
    Registry(uri).register(name, model, run.info.run_id, {})
"""


@contextmanager
def postgres_on_network(folder: Path) -> Iterator[str]:
    """Address, for the network, of a PostgreSQL with Ratchet's tables that listens there."""
    server = EmbeddedPostgres(folder / "postgres")
    url = server.start()
    migrate(url)
    server.stop()
    with (server.data / "pg_hba.conf").open("a", encoding="utf-8") as file:
        file.write(f"host all all 10.{OF_TEN}.0.0/16 scram-sha-256\n")
    port = str(psycopg.conninfo.conninfo_to_dict(url)["port"])
    flags = f"-c port={port} -c listen_addresses=127.0.0.1,{DATABASE}"
    command = [
        str(binary("pg_ctl")),
        "start",
        "--wait",
        "--pgdata",
        str(server.data),
        "--log",
        str(server.log),
    ]
    started = launcher_for(server.folder).run([*command, "--options", flags])
    assert started.returncode == 0, started.stderr + server.log.read_text()
    try:
        yield url.replace("127.0.0.1", DATABASE)
    finally:
        server.stop()


def publish(uri: str, url: str, folder: Path, versions: int) -> None:
    """Register so many versions of the digits, as retrains do."""
    artifacts = [
        make_artifact(folder / str(number), DIGITS, seed=number) for number in range(1, versions + 1)
    ]
    command = [sys.executable, "-c", PUBLISH, uri, "digits", *map(str, artifacts)]
    subprocess.run(command, cwd=CHECKOUT, check=True, timeout=180)
    with connect(url, autocommit=True) as conn:
        for number, artifact in enumerate(artifacts, 1):
            evidence = {"digest": artifact_digest(artifact)}
            ledger.record(
                conn, "digits", "registered", actor="test", reason="", to_version=number, evidence=evidence
            )


def promote(url: str, uri: str, version: int) -> None:
    """Make a version production, as a retrain does."""
    registry = MlflowRest(uri)
    before = registry.alias_version("digits", "production")
    with connect(url, autocommit=True) as conn:
        intent = ledger.record(
            conn, "digits", "intent", actor="test", reason="", from_version=before, to_version=version
        )
        registry.set_alias("digits", "production", version)
        ledger.close_intent(conn, ledger.entry(conn, intent), "promoted", "test")


@dataclass(frozen=True)
class Keys:
    """One API key for all servers."""

    file: Path
    token: str


def make_keys(file: Path) -> Keys:
    """A file with one key that may do what the tests do."""
    return Keys(file, add_key(file, "test", ("read", "predict", "feedback")))


class ReplicaServer(Server):
    """A server in a namespace, with a home and an address of its own; this process is its client."""

    def __init__(
        self, place: str, address: str, home: Path, url: str, uri: str, keys: Keys, **environ: str
    ) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.place, self.home, self.address = place, home, address
        self.url, self.log = f"http://{address}:3000", home / "service.log"
        transport = httpx.HTTPTransport(local_address=CLIENT)
        headers = {"Authorization": f"Bearer {keys.token}"}
        self.client = httpx.Client(base_url=self.url, timeout=30, transport=transport, headers=headers)
        settings = {
            "RATCHET_HOME": str(home), "RATCHET_DATABASE_URL": url, "RATCHET_HOST": address,
            "RATCHET_PORT": "3000", "RATCHET_USE_CASES": "digits", "MLFLOW_TRACKING_URI": uri,
            "PREFECT_API_URL": f"http://127.0.0.1:{closed_port()}/api", "RATCHET_API_KEYS": str(keys.file),
        }  # fmt: skip
        command = ["ip", "netns", "exec", place, sys.executable, "-m", "service.run"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=os.environ | settings | environ, cwd=CHECKOUT, stdout=log, stderr=log
            )

    def wait_until_ready(self, seconds: float = 120) -> None:
        """Until `/readyz` says so."""
        self._wait(seconds)

    def answer(self) -> Any:
        """The answer to one record."""
        return self.predict("digits", [example_record(DIGITS.record)])

    def version(self) -> int:
        """Which version answers a record."""
        version: int = self.answer()["model"]["version"]
        return version

    def health(self) -> Any:
        """What `/health` says."""
        return self.client.get("/health").json()

    def metric(self, name: str) -> float:
        """The value of a metric without labels but `pid`; the greatest of the processes."""
        lines = self.client.get("/metrics").text.splitlines()
        return max(
            float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{"))
        )

    def say(self, name: str) -> str:
        """The end of its log, for messages of a failing test."""
        return f"{name}: {json.dumps(str(self.process.args))}\n{self.log.read_text()[-3000:]}"


def mlflow_address(port: int) -> str:
    """Where servers find MLflow."""
    return f"http://{MLFLOW}:{port}"
