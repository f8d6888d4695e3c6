"""BentoML's process manager has no port that takes commands."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
from bentoml._internal.utils import circus

from service.hosting.process_manager import close_control_ports, create_arbiter
from tests.service.servers import Server


def test_bentoml_makes_its_manager_so() -> None:
    close_control_ports()
    assert circus.create_standalone_arbiter is create_arbiter


def test_a_service_listens_on_its_own_port_only(database_url: str, tmp_path: Path) -> None:
    with Server(tmp_path / "home", database_url) as server:
        processes = [psutil.Process(server.process.pid)]
        processes += processes[0].children(recursive=True)
        listening = {
            one.laddr.port
            for process in processes
            for one in process.net_connections(kind="tcp")
            if one.status == psutil.CONN_LISTEN
        }
    assert listening == {server.port}


def test_a_worker_that_dies_is_started_again_without_the_port(database_url: str, tmp_path: Path) -> None:
    with Server(tmp_path / "home", database_url) as server:
        (before,) = server.workers()
        before.kill()
        until = time.monotonic() + 5  # and not by the next regular look, ten seconds later
        while not [worker for worker in server.workers() if worker.pid != before.pid]:
            assert time.monotonic() < until
            time.sleep(0.1)
