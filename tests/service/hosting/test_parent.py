"""A worker ends with the process that started it, whenever that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from configs.settings import CHECKOUT
from service.hosting.parent import TOLD_BY
from tests.ports import closed_port, free_port

STARTING = (
    "import time; from service.hosting.parent import end_with_parent; end_with_parent(); time.sleep({})"
)


def start(seconds: float, parent: int, *arguments: str) -> subprocess.Popen[bytes]:
    """A worker that takes so long to start, and was told of that parent."""
    command = [sys.executable, "-c", STARTING.format(seconds), *arguments]
    return subprocess.Popen(command, cwd=CHECKOUT, env=os.environ | {TOLD_BY: str(parent)})


@pytest.mark.parametrize(
    ("arguments", "parent_is_there", "code"),
    [(["--fd", "3"], False, -signal.SIGTERM), (["--fd", "3"], True, 0), ([], False, 0)],
)
def test_a_worker_whose_parent_went_before_it_looked_ends_at_once(
    arguments: list[str], parent_is_there: bool, code: int
) -> None:
    seconds = 60 if code else 0.2
    with start(seconds, os.getpid() if parent_is_there else 1, *arguments) as worker:
        try:
            assert worker.wait(30) == code
        finally:
            worker.kill()


def wait_for_workers(parent: psutil.Process, count: int) -> list[psutil.Process]:
    until = time.monotonic() + 60
    workers: list[psutil.Process] = []
    while len(workers) < count:
        workers = parent.children()
        assert time.monotonic() < until
        time.sleep(0.01)
    return workers


def test_workers_that_are_starting_end_with_their_parent(database_url: str, tmp_path: Path) -> None:
    settings = {
        "RATCHET_HOME": str(tmp_path / "home"), "RATCHET_DATABASE_URL": database_url, "RATCHET_WORKERS": "2",
        "RATCHET_PORT": str(free_port()), "RATCHET_MLFLOW_PORT": str(closed_port()),
    }  # fmt: skip
    command = [sys.executable, "-m", "service.run"]
    with subprocess.Popen(command, env=os.environ | settings, cwd=CHECKOUT) as parent:
        workers = wait_for_workers(psutil.Process(parent.pid), 2)
        parent.kill()
    try:
        _, alive = psutil.wait_procs(workers, timeout=60)
        assert alive == []
    finally:
        for worker in workers:
            if worker.is_running():
                worker.kill()
