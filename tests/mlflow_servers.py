"""A real MLflow server for tests, as `ratchet up` starts it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psycopg

from configs.settings import CHECKOUT
from store.database.connection import ensure_databases, tool_url

START_SECONDS = 180
"""It takes 5 on a machine that is free; where everything else runs too, a minute is not enough."""


@dataclass
class Server:
    """Where it answers, its process, and the folder that it keeps artifacts in."""

    uri: str
    process: subprocess.Popen[bytes]
    store: Path


@contextmanager
def running_mlflow(postgres: str, home: Path, database: str, **variables: str) -> Iterator[Server]:
    """MLflow on a database of its own, which is dropped at the end; with variables of its own."""
    with psycopg.connect(postgres, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {database}")
    url = postgres.rsplit("/", 1)[0] + f"/{database}"
    ensure_databases(url, ["mlflow"])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = os.environ | {
        "RATCHET_HOME": str(home), "RATCHET_DATABASE_URL": url, "RATCHET_MLFLOW_PORT": str(port),
        **variables,
    }  # fmt: skip
    uri = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "flows.servers.mlflow"]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environ, cwd=CHECKOUT, stdout=log, stderr=log)
    try:
        wait_for(uri, process, home / "log")
        yield Server(uri, process, home / "mlflow")
    finally:
        process.terminate()
        process.wait(20)
        with psycopg.connect(postgres, autocommit=True) as conn:
            for name in (tool_url(url, "mlflow"), url):
                conn.execute(f"DROP DATABASE {name.rsplit('/', 1)[1]} WITH (FORCE)")


def wait_for(uri: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            with urlopen(f"{uri}/health", timeout=1):
                return
        except (URLError, OSError):
            time.sleep(0.25)
    raise AssertionError(f"MLflow did not start within {START_SECONDS} s: {log.read_text()[-2000:]}")
