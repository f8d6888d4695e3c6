"""A version that hangs on a job costs the worker a thread, and nobody the answers to other jobs."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import psycopg
import pytest

from service.watchdog import hang_watch
from tests.service.conftest import USE_CASES, FolderRegistry, Service, record_of
from tests.service.jobs.test_intake import answer, submit
from tests.service.swap.test_watcher import promote, version_of, wait_for

SERVED = ("digits",)

DIGITS = USE_CASES["digits"]


def test_jobs_go_on_by_another_version(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hang_watch, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(hang_watch, "CHECK_SECONDS", 0.1)
    registry.add(DIGITS, 2)
    promote(conn, registry, 2)
    wait_for(lambda: version_of(service) == 2)
    leave, hangs = threading.Event(), threading.Event()

    def hang(x: Any) -> Any:
        hangs.set()
        leave.wait(60)
        return np.zeros((len(x), 10), np.float32)

    slot = service.worker.slots["digits"]
    slot.serving().predictor._runner = hang
    try:
        hung = submit(service, DIGITS, [record_of(DIGITS)])
        assert hangs.wait(10)
        wait_for(lambda: slot.serving().version == 1)
        told = answer(service, submit(service, DIGITS, [record_of(DIGITS)])).json()
        assert told["model"]["version"] == 1
    finally:
        leave.set()
    assert answer(service, hung).json()["model"]["version"] == 1
