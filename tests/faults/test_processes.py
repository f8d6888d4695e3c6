"""Each process of a stack killed with kill -9, while callers ask and label."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.faults.installation import Installation, callers_of, watch_for
from tests.faults.measuring import measure

pytestmark = pytest.mark.faults

KILLED = {
    "kill -9 of the service, all its processes": "service",
    "kill -9 of PostgreSQL": "postgres",
    "kill -9 of MLflow": "mlflow",
    "kill -9 of Prefect": "prefect",
    "kill -9 of the worker that runs flows": "worker",
    "kill -9 of the supervisor": "supervisor",
}


@pytest.mark.parametrize("fault", KILLED)
def test_a_server_is_killed(installation: Installation, fault: str) -> None:
    server = KILLED[fault]
    with callers_of(installation) as callers:
        killed = time.monotonic()
        installation.kill(server)
        watched = watch_for(installation, 8.0)
        if server == "supervisor":
            installation.run("up", "--detach")
        measure(fault, installation, callers, watched, killed)


@pytest.mark.parametrize("fault", ["kill -9 of one process that answers"])
def test_one_worker_process_of_the_service_is_killed(installation: Installation, fault: str) -> None:
    with callers_of(installation) as callers:
        killed = time.monotonic()
        worker = next(
            process
            for process in installation.processes("service")
            if "_bentoml_impl.worker.service" in " ".join(process.cmdline())
        )
        os.kill(worker.pid, signal.SIGKILL)
        watched = watch_for(installation, 6.0)
        measure(fault, installation, callers, watched, killed)


@pytest.mark.parametrize("fault", ["kill -9 of everything, then `ratchet up`"])
def test_everything_is_killed(installation: Installation, fault: str) -> None:
    with callers_of(installation) as callers:
        for server in ("supervisor", "service", "worker", "prefect", "mlflow", "postgres"):
            installation.kill(server)
        watched = watch_for(installation, 2.0)
        ended = time.monotonic()
        installation.run("up", "--detach")
        measure(fault, installation, callers, watched, ended)
