"""BentoML's process manager has no port that takes commands."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from bentoml._internal.utils import circus

from configs.settings import CHECKOUT
from service.hosting.process_manager import close_control_ports, create_arbiter
from service.hosting.serving import wait_for_port
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


def test_a_start_waits_while_workers_of_before_hold_the_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as workers_of_before:
        port = workers_of_before.getsockname()[1]
        assert not wait_for_port("127.0.0.1", port, 0.05)
        threading.Timer(0.3, workers_of_before.close).start()
        assert wait_for_port("127.0.0.1", port, 10)


@pytest.mark.parametrize(("arguments", "has_pandas"), [(["--fd", "3"], False), ([], True)])
def test_a_worker_loads_models_without_pandas(arguments: list[str], has_pandas: bool) -> None:
    """scikit-learn imports it wherever it is installed."""
    code = "import sys, service.app, skops.io; print(bool(sys.modules.get('pandas')))"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == [str(has_pandas)], done.stderr


def test_a_worker_that_dies_is_started_again_without_the_port(database_url: str, tmp_path: Path) -> None:
    with Server(tmp_path / "home", database_url) as server:
        (before,) = server.workers()
        before.kill()
        until = time.monotonic() + 5  # and not by the next regular look, ten seconds later
        while not [worker for worker in server.workers() if worker.pid != before.pid]:
            assert time.monotonic() < until
            time.sleep(0.1)
